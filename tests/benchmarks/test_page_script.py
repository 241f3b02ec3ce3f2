"""benchmarks/page.py: how large the page of a run is and how long it takes to open."""

import pytest
from browser import find_browser


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs chromium")
def test_it_opens_a_page_and_a_table(run_script):
    header, row = run_script("page.py", "--cases", "2", "--repeats", "1", "--images", "1").splitlines()
    assert "page / table" in header
    cases, size, asked, page, also_asked, table, ratio = row.split()
    assert (cases, asked, also_asked) == ("2", "-", "-"), "what is asked for is of 24 and of 600 cases"
    assert 0.05 < float(size) < 5
    assert float(page) > 0
    assert float(table) >= 0
    assert float(ratio) > 0


def test_a_page_that_is_too_large_or_too_slow_is_told(scripts, monkeypatch, capsys):
    import page

    monkeypatch.setattr(page, "LIMITS", {1: (1e-6, 5.0)})
    monkeypatch.setattr(page, "Browser", FakeBrowser)
    monkeypatch.setattr(page, "find_browser", lambda: "chromium")
    monkeypatch.setattr("sys.argv", ["page.py", "--cases", "1", "--repeats", "1", "--images", "0"])
    assert page.main() == 1
    monkeypatch.setattr(page, "LIMITS", {1: (1.0, 1e-6)})
    assert page.main() == 1
    monkeypatch.setattr(page, "LIMITS", {1: (1.0, 5.0)})
    assert page.main() == 0
    assert capsys.readouterr().out.count("0.50") == 6


class FakeBrowser:
    """Opens everything in half a second."""

    errors = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def open(self, path):
        assert path.stat().st_size

    def value(self, expression):
        return 500
