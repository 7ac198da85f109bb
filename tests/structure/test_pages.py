"""The generated pages are those that template and models make, and leave nothing out."""

from pathlib import Path

import pytest

from mojodex.schema import Base
from tests.structure.template import template
from tools import pages


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: path.stem)
def test_a_page_is_what_the_generator_makes(path: Path) -> None:
    assert path.read_text() == pages.PAGES[path](), "run python -m tools.pages --write"


def test_the_settings_page_has_every_parameter_once_with_its_default() -> None:
    rows = [line.split(" | ") for line in pages.settings_page().splitlines() if line.startswith("| `")]
    defaults = {row[0].strip("| `"): row[1].strip("`") for row in rows}

    assert len(rows) == len(defaults)
    assert defaults == {
        name: str(parameter.get("Default", "required")) or "empty"
        for name, parameter in template()["Parameters"].items()
    }


def test_the_database_page_has_every_table_of_ours_and_every_index_with_its_query() -> None:
    page = pages.database_page()
    indexes = {str(index.name) for table in Base.metadata.tables.values() for index in table.indexes}

    assert indexes == set(pages.NEEDED_FOR)
    for name in indexes | {table for table in Base.metadata.tables if table.startswith("md_background_")}:
        assert page.count(f"\n| `{name}` |") == 1, name


def test_an_outdated_page_is_reported_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "settings.md"
    page.write_text("old")
    monkeypatch.setattr(pages, "PAGES", {page: lambda: "new"})

    assert pages.main(write=False) == 1
    assert "docs/settings.md is out of date" in capsys.readouterr().err
    assert page.read_text() == "old"
    assert pages.main(write=True) == 0
    assert pages.main(write=False) == 0
    assert page.read_text() == "new"
