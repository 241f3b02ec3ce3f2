"""The page in a browser: it logs no error and fetches nothing; finding, sorting, comparing, keys, screens."""

from __future__ import annotations

import page_runs
import PIL.Image
import pytest
from browser import Browser, find_browser
from page_runs import HOSTILE

from bench.kinds import KINDS
from bench.report.html.page import page

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs chromium")
SHOWN = "[...document.querySelectorAll('details.case')].filter(c => !c.hidden).map(c => c.querySelector('b').textContent)"


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


def drawn(folder, **fields):
    run = page_runs.load(page_runs.mixed(folder, **fields))
    path = folder / "report.html"
    path.write_text(page(run.run, run.ordered, KINDS, folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("calm") / "run")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("hostile") / "run", hostile=HOSTILE)


def choose(browser, selector, value):
    browser.value(
        f"(s => {{ s.value = {value!r}; s.dispatchEvent(new Event('input', {{bubbles: true}}));"
        f" s.dispatchEvent(new Event('change', {{bubbles: true}})); }})(document.querySelector({selector!r}))"
    )


def open_pairs(browser):
    """Open the case with images, and return the selector of what compares them."""
    browser.value("document.querySelector('details.case').open = true")
    browser.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    return "details.case .pairs"


def mode(browser, name):
    browser.value(f"document.querySelector('details.case .modes input[value={name}]').click()")


def test_it_opens_without_errors_and_asks_for_nothing(browser, calm):
    browser.open(calm)
    open_pairs(browser)
    for name in ("slider", "onion", "difference", "side"):
        mode(browser, name)
    assert browser.errors == []
    assert browser.requests == [calm.resolve().as_uri()]
    assert browser.value("document.title").startswith("5 of 7 passed")


def test_nothing_hostile_runs(browser, hostile):
    browser.open(hostile)
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.value("new Promise(done => setTimeout(done, 100))")
    assert browser.value("window.hacked") is None
    assert browser.errors == []
    assert browser.requests == [hostile.resolve().as_uri()]
    assert HOSTILE in browser.value("document.querySelector('.who b').textContent")


def test_the_policy_stops_a_script_that_gets_in(browser, calm, tmp_path):
    """The tests above would pass without the policy; this one would not."""
    path = tmp_path / "injected.html"
    path.write_text(
        calm.read_text(encoding="utf-8").replace("<header>", "<header><script>window.hacked=3</script>", 1)
    )
    browser.open(path)
    assert browser.value("window.hacked") is None
    assert any("Content Security Policy" in error for error in browser.errors)


def test_filters_choose_and_text_finds(browser, calm):
    browser.open(calm)
    everything = browser.value(SHOWN)
    assert len(everything) == 8
    choose(browser, "[data-facet=difficulty]", "hard")
    assert browser.value(SHOWN) == ["hard-sd-deepcache-2"]
    assert browser.value("document.getElementById('count').textContent") == "1 of 8"
    choose(browser, "[data-facet=difficulty]", "")
    choose(browser, "[data-facet=verdict]", "inconclusive")
    assert browser.value(SHOWN) == ["medium-sd-deepcache-3"]
    choose(browser, "[data-facet=verdict]", "")
    choose(browser, "[data-facet=role]", "control")
    assert browser.value(SHOWN) == ["easy-sd-ddim-control_90"]
    choose(browser, "[data-facet=role]", "")
    choose(browser, "[data-facet=kind]", "language")
    assert browser.value(SHOWN) == ["tiny-siqa_gen"]
    choose(browser, "[data-facet=kind]", "")
    choose(browser, "[data-facet=method]", "deepcache")
    choose(browser, "#find", "EASY-sd deepcache-1")
    assert browser.value(SHOWN) == ["easy-sd-deepcache-1"]
    choose(browser, "#find", "nothing has this")
    assert browser.value(SHOWN) == []
    assert browser.value("document.querySelector('.empty').hidden") is False
    browser.value("document.querySelector('.filters button').click()")
    browser.value("new Promise(done => setTimeout(done, 20))")
    assert browser.value(SHOWN) == everything


def test_cases_are_sorted_by_verdict_value_and_time(browser, calm):
    browser.open(calm)
    before = browser.value(SHOWN)
    choose(browser, "#order", "urgency")
    assert browser.value(SHOWN)[:2] == ["hard-sd-deepcache-2", "medium-sd-deepcache-3"]
    choose(browser, "#order", "-s speedup")
    assert browser.value(SHOWN)[0] == "hard-sd-deepcache-2"
    choose(browser, "#order", "s speedup")
    assert browser.value(SHOWN)[0] == "medium-sd-deepcache-3"
    choose(browser, "#order", "-duration")
    assert browser.value(SHOWN)[0] == "easy-sd-ddim-control_90"
    choose(browser, "#order", "")
    assert browser.value(SHOWN) == before


def test_images_are_compared_in_four_ways(browser, calm, tmp_path):
    browser.open(calm, height=1600)
    pairs = open_pairs(browser)
    stage = f"document.querySelector('{pairs} .stage')"
    loaded = f"[...{stage}.querySelectorAll('img')].map(i => [i.complete, i.naturalWidth])"
    assert browser.value(f"Promise.all([...{stage}.querySelectorAll('img')].map(i => i.decode())).then(() => {loaded})") == [
        [True, 64], [True, 64],
    ]  # fmt: skip
    captions = browser.value(f"[...{stage}.querySelectorAll('figcaption')].map(c => c.textContent)")
    assert captions == ["baseline", "candidate"]
    mode(browser, "slider")
    clip = f"getComputedStyle({stage}.querySelectorAll('figure')[1]).clipPath"
    assert browser.value(clip) == "inset(0px 0px 0px 50%)"
    slider = f"{pairs} .control input"
    choose(browser, slider, "20")
    assert browser.value(clip) == "inset(0px 0px 0px 20%)"
    mode(browser, "onion")
    choose(browser, slider, "75")
    assert browser.value(f"getComputedStyle({stage}.querySelectorAll('figure')[1]).opacity") == "0.75"
    mode(browser, "difference")
    choose(browser, slider, "0")
    browser.value(f"{stage}.scrollIntoView({{behavior: 'instant', block: 'center'}})")
    x, y = browser.value(
        f"(r => [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)])({stage}.getBoundingClientRect())"
    )
    # The candidate is brighter by 25 of 255; compressing moves that a little.
    assert all(8 <= channel <= 60 for channel in browser.colour_at(tmp_path / "difference.png", x, y))


def test_another_prompt_is_shown_at_a_click(browser, calm):
    browser.open(calm)
    pairs = open_pairs(browser)
    first = browser.value(f"document.querySelector('{pairs} .stage img').src")
    browser.value(f"document.querySelectorAll('{pairs} li button')[1].click()")
    assert browser.value(f"document.querySelector('{pairs} .stage img').src") != first
    assert (
        browser.value(
            f"[...document.querySelectorAll('{pairs} li')].findIndex(i => i.classList.contains('on'))"
        )
        == 1
    )


def test_keys_find_and_walk(browser, calm):
    browser.open(calm)
    browser.press("/")
    assert browser.value("document.activeElement.id") == "find"
    browser.value("document.activeElement.blur()")
    for _ in range(2):
        browser.press("j")
    focus = "document.activeElement.closest('.case')?.querySelector('b').textContent"
    assert browser.value(focus) == browser.value(SHOWN)[1]
    browser.press("o")
    assert browser.value("document.activeElement.closest('.case').open") is True
    browser.press("k")
    assert browser.value(focus) == browser.value(SHOWN)[0]


def test_a_link_opens_its_case_also_where_a_filter_hides_it(browser, calm):
    browser.open(calm, fragment="#acceleration.hard-sd-deepcache-2")
    case = "document.getElementById('acceleration.hard-sd-deepcache-2')"
    assert browser.value(f"{case}.open") is True
    browser.open(calm)
    choose(browser, "[data-facet=kind]", "language")
    assert browser.value(f"{case}.hidden") is True
    browser.value("document.querySelector('.open a').click()")
    browser.value("new Promise(done => setTimeout(done, 50))")
    assert browser.value(f"[{case}.hidden, {case}.open]") == [False, True]


def test_a_dark_screen_gets_a_dark_page(browser, calm, tmp_path):
    browser.open(calm)
    light = browser.colour_at(tmp_path / "light.png", 3, 3)
    browser.open(calm, dark=True)
    dark = browser.colour_at(tmp_path / "dark.png", 3, 3)
    assert min(light) > 230
    assert max(dark) < 60


@pytest.mark.parametrize("which", ["calm", "hostile"])
def test_a_phone_needs_no_scrolling_aside(browser, which, request):
    browser.open(request.getfixturevalue(which), width=360, height=780)
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.value("new Promise(done => setTimeout(done, 100))")
    assert browser.value("document.documentElement.scrollWidth") <= 360


def test_all_text_is_there_without_scripts(browser, calm):
    """A closed case opens without them too."""
    browser.open(calm, scripts=False)
    root = browser._ask("DOM.getDocument", depth=0)["root"]["nodeId"]
    html = browser._ask("DOM.getOuterHTML", nodeId=root)["outerHTML"]
    assert 'class="scripted"' not in html
    for text in (
        "a picture of thing 3",
        "essay 2",
        "answer 3",
        "query 2",
        "num_inference_steps",
        "The images need JavaScript",
    ):
        assert text in html


def test_every_control_has_a_name(browser, calm):
    browser.open(calm)
    open_pairs(browser)
    nameless = (
        "[...document.querySelectorAll('input, select, button, a, summary')].filter(n => n.offsetParent && "
        "!(n.textContent.trim() || n.getAttribute('aria-label') || n.closest('label')?.textContent.trim()))"
        ".map(n => n.outerHTML.slice(0, 80))"
    )
    assert browser.value(nameless) == []


def test_a_picture_of_the_page_is_no_empty_one(browser, calm, tmp_path):
    browser.open(calm)
    browser.screenshot(tmp_path / "page.png")
    with PIL.Image.open(tmp_path / "page.png") as image:
        assert image.size == (1280, 900)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50
