"""The page, in a real browser on a real service."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, Route, expect, sync_playwright

from recommender.release import Release
from tests.recommender.explanations.openai_endpoint import OpenAiEndpoint
from tests.serving.conftest import RunningService

CHROMIUM = shutil.which("chromium")
LONGEST = "The Cartographer's Daughter and the Extraordinarily Long Road to the Sea"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (no `chromium` on the PATH)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page at an address; fails if it has errors or asks another host for anything."""
    contexts, complaints = [], []

    def open_at(base_url: str, **options: Any) -> Page:
        context = browser.new_context(base_url=base_url, **options)
        contexts.append(context)
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("dialog", lambda dialog: complaints.append(dialog.message))
        opened.on(
            "request",
            lambda request: None if request.url.startswith(base_url) else complaints.append(request.url),
        )
        return opened

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page], address: str) -> Page:
    return open_page(address)


def titles(page: Page, listed: str) -> list[str]:
    return page.locator(f"#{listed} .title").all_text_contents()


def genres(page: Page) -> list[set[str]]:
    rows = page.locator("#programme li .genres").all()
    return [set(row.locator(".genre").all_text_contents()) for row in rows]


def years(page: Page) -> list[int]:
    return [int(year) for year in page.locator("#programme .year").all_text_contents()]


def settle(page: Page, whose: str = "you") -> None:
    expect(page.locator("#recommended-title")).to_have_text(f"Now showing for {whose}")
    expect(page.locator("#programme")).to_have_attribute("aria-busy", "false")


def answered(page: Page, act: Callable[[], object]) -> None:
    """Do something, and wait until the recommendations that follow are on show."""
    with page.expect_response(lambda response: "/recommendations" in response.url):
        act()
    expect(page.locator("#programme")).to_have_attribute("aria-busy", "false")


def choose(page: Page, user_id: int | str) -> None:
    page.get_by_label("User", exact=True).fill(str(user_id))
    page.get_by_role("button", name="Show", exact=True).click()


def search(page: Page, query: str, title: str) -> None:
    page.get_by_role("searchbox", name="Search for a movie").fill(query)
    expect(page.locator("#results .title").first).to_have_text(title)


def give(page: Page, title: str, rating: float) -> None:
    """Click a rating in the search results."""
    group = page.locator("#results").get_by_role("group", name=f"Rate {title}", exact=True)
    group.get_by_role("radio", name=f"{rating:g} of 5", exact=True).check()


def plain(title: str) -> str:
    return re.sub(r" \(\d{4}\)$", "", title)


def patched(change: Callable[[Any], None]) -> Callable[[Route], None]:
    """Let the service answer, and change what it said on the way."""

    def fulfil(route: Route) -> None:
        response = route.fetch()
        content = response.json()
        change(content)
        route.fulfill(response=response, json=content)

    return fulfil


def test_a_visitor_rates_three_movies_and_gets_other_recommendations(
    open_page: Callable[..., Page],
    start_service: Callable[..., RunningService],
    two_stage_release: Path,
) -> None:
    page = open_page(start_service(release=two_stage_release).address)
    page.goto("/")
    settle(page)
    expect(page.locator("#recommended-lead")).to_contain_text("What most people watch")
    before = titles(page, "programme")
    rated = before[7:]
    for title, rating in zip(rated, [5, 4.5, 4], strict=True):
        search(page, title, title)
        answered(page, partial(give, page, title, rating))
    assert titles(page, "ratings") == rated[::-1]
    expect(page.locator("#rated-lead")).to_have_text("3 movies, kept in this browser only.")
    expect(page.locator("#recommended-lead")).to_have_text("New to you, chosen from your ratings.")
    expect(page.locator("#programme .reason").first).to_contain_text(
        re.compile("[Yy]ou (liked|rated|have seen)|Chosen")
    )
    expect(page.locator("#programme .predicted").first).to_have_text(re.compile(r"^predicted \d\.\d$"))
    after = titles(page, "programme")
    assert len(after) == 10
    assert not set(after) & set(rated)
    assert set(after) - set(before)
    assert [title for title in after if title in before] != before[:7]


def test_what_is_showing_can_be_rated_and_makes_room(page: Page) -> None:
    page.goto("/")
    settle(page)
    first = titles(page, "programme")[0]
    stars = page.locator("#programme").get_by_role("group", name=f"Rate {first}", exact=True)
    answered(page, lambda: stars.get_by_role("radio", name="3.5 of 5").check())
    assert titles(page, "ratings") == [first]
    assert first not in titles(page, "programme")
    kept = page.locator("#ratings").get_by_role("radio", name="3.5 of 5")
    expect(kept).to_be_checked()


def test_ratings_outlive_a_reload_until_they_are_removed_or_cleared(page: Page) -> None:
    page.goto("/")
    settle(page)
    for query, title in [("hollow", "Hollow Orchard"), ("bell", "The Bell Ringers"), ("static", "Static")]:
        search(page, query, title)
        answered(page, partial(give, page, title, 4))
    page.reload()
    settle(page)
    assert titles(page, "ratings") == ["Static", "The Bell Ringers", "Hollow Orchard"]
    answered(page, page.get_by_role("button", name="Remove the rating of Static").click)
    assert titles(page, "ratings") == ["The Bell Ringers", "Hollow Orchard"]
    answered(page, page.get_by_role("button", name="Clear my ratings").click)
    assert titles(page, "ratings") == []
    assert page.evaluate("localStorage.length") == 0
    expect(page.locator("#recommended-lead")).to_contain_text("What most people watch")


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "null",
        '{"a": 1}',
        '[{"movie_id": "5"}, 7, null]',
        '[{"movie_id": 5, "title": "Static", "release_year": 2012, "genres": [], "rating": 77}]',
    ],
)
def test_what_a_browser_kept_and_nobody_can_read_is_passed_over(
    page: Page, live_release: Release, kept: str
) -> None:
    key = f"marquee.ratings.{live_release.manifest.dataset}"
    page.add_init_script(f"localStorage.setItem({json.dumps(key)}, {json.dumps(kept)})")
    page.goto("/")
    settle(page)
    expect(page.locator("#ratings")).to_have_text("Nothing yet. Search above, or rate what is showing.")


def test_a_movie_that_nobody_has_is_told(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.get_by_role("searchbox").fill("zzqqxx")
    expect(page.locator("#found")).to_contain_text("No title is like “zzqqxx”")


def test_filters_say_which_movies_come_and_the_address_keeps_them(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.locator("summary").click()
    wanted = page.get_by_role("group", name="Any of these genres")
    unwanted = page.get_by_role("group", name="None of these")
    answered(page, wanted.get_by_role("checkbox", name="Drama").check)
    assert all("Drama" in found for found in genres(page))
    answered(page, unwanted.get_by_role("checkbox", name="Western").check)
    assert all("Drama" in found and "Western" not in found for found in genres(page))
    answered(page, lambda: page.get_by_label("From year").fill("1980"))
    answered(page, lambda: page.get_by_label("To year").fill("1999"))
    assert years(page)
    assert all(1980 <= year <= 1999 for year in years(page))
    expect(page.locator("#filters-chosen")).to_have_text("Drama, without Western, 1980 to 1999")
    filtered = titles(page, "programme")
    page.reload()
    settle(page)
    assert titles(page, "programme") == filtered
    expect(page.locator("#filters-chosen")).to_have_text("Drama, without Western, 1980 to 1999")
    page.locator("summary").click()
    answered(page, page.get_by_role("button", name="Reset the filters").click)
    assert len(titles(page, "programme")) == 10
    assert page.url.endswith("/")


def test_filters_hold_for_a_user_too(page: Page) -> None:
    page.goto("/?user=5&genres=Horror&exclude_genres=Drama")
    settle(page, "user 5")
    assert genres(page)
    assert all("Horror" in found and "Drama" not in found for found in genres(page))


def test_a_genre_is_not_wanted_and_unwanted_at_once(page: Page) -> None:
    page.goto("/?genres=Horror")
    settle(page)
    page.locator("summary").click()
    unwanted = page.get_by_role("group", name="None of these").get_by_role("checkbox", name="Horror")
    answered(page, unwanted.check)
    wanted = page.get_by_role("group", name="Any of these genres").get_by_role("checkbox", name="Horror")
    expect(wanted).not_to_be_checked()
    assert not any("Horror" in found for found in genres(page))


def test_filters_that_nothing_fits_are_told(page: Page) -> None:
    page.goto("/?year_from=1890&year_to=1895")
    settle(page)
    expect(page.locator("#programme")).to_have_text("Nothing fits these filters.")


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [("19", "", "A year has four digits"), ("1999", "1980", "The first year is after the last one.")],
)
def test_years_that_cannot_be_meant_are_told_at_the_field_and_not_asked(
    page: Page, first: str, last: str, told: str
) -> None:
    page.goto("/")
    settle(page)
    page.locator("summary").click()
    page.get_by_label("To year").fill(last)
    page.get_by_label("From year").fill(first)
    page.get_by_label("From year").blur()
    expect(page.locator("#years-problem")).to_contain_text(told)
    assert f"year_from={first}" not in page.url
    assert page.locator("#filter-form [aria-invalid=true]").count() == 1


def test_movies_that_few_have_rated_can_be_left_out(page: Page) -> None:
    page.goto("/?user=4&diversity=1")
    settle(page, "user 4")
    page.locator("summary").click()
    with page.expect_response(lambda answer: "min_ratings=10" in answer.url) as asked:
        page.get_by_label("Rated by").select_option("10 people or more")
    assert asked.value.ok
    settle(page, "user 4")
    assert "min_ratings=10" in page.url
    expect(page.locator("#filters-chosen")).to_contain_text("rated by 10 or more")


def test_diversity_goes_with_the_question(page: Page) -> None:
    page.goto("/?user=4")
    settle(page, "user 4")
    closest = titles(page, "programme")
    page.locator("summary").click()
    page.get_by_label("Diversity").focus()
    answered(page, lambda: page.keyboard.press("End"))
    assert "diversity=1" in page.url
    assert titles(page, "programme") != closest


def test_more_movies_come_below_those_on_show(page: Page) -> None:
    page.goto("/")
    settle(page)
    ten = titles(page, "programme")
    answered(page, page.get_by_role("button", name="Show more").click)
    assert len(titles(page, "programme")) == 20
    assert titles(page, "programme")[:10] == ten


def test_a_movie_opens_with_those_similar_to_it(page: Page) -> None:
    page.goto("/")
    settle(page)
    first = page.locator("#programme .title button").first
    title = first.text_content()
    first.click()
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog).to_be_visible()
    expect(page.locator("#similar .title")).to_have_count(6)
    expect(page.locator("#movie-people")).to_contain_text("Rated by")
    movie_id = page.url.rpartition("movie=")[2]
    tags = page.request.get(f"api/v1/movies/{movie_id}").json()["tags"]
    assert page.locator("#movie-tags").text_content() == (f"Tagged {', '.join(tags)}." if tags else "")
    assert title not in titles(page, "similar")

    nearest = page.locator("#similar .title button").first
    second = nearest.text_content()
    nearest.click()
    expect(page.get_by_role("dialog", name=second)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog", name=title)).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("dialog", name=second)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(first).to_be_focused()
    page.wait_for_url("**/")


def test_a_link_opens_its_movie_which_can_be_rated_there(page: Page, live_release: Release) -> None:
    movie = live_release.movie(int(live_release.movie_ids[7]))
    page.goto(f"/?movie={movie.movie_id}")
    dialog = page.get_by_role("dialog", name=plain(movie.title))
    answered(page, dialog.get_by_role("radio", name="4.5 of 5").check)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert titles(page, "ratings") == [plain(movie.title)]


def test_a_link_to_a_movie_that_does_not_exist_says_so(page: Page) -> None:
    page.goto("/?movie=999999")
    expect(page.get_by_role("dialog", name="This movie cannot be shown")).to_be_visible()
    expect(page.locator("#movie-problem")).to_contain_text("Movie 999999 is not in release")


def test_a_movie_that_did_not_come_can_be_tried_again(page: Page) -> None:
    page.goto("/")
    settle(page)

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/similar*", refuse)
    page.locator("#programme .title button").first.click()
    expect(page.locator("#movie-problem")).to_contain_text("The service does not answer.")
    page.unroute("**/similar*", refuse)
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    expect(page.locator("#similar .title")).to_have_count(6)
    expect(page.locator("#movie-problem")).to_have_text("")


def test_choosing_a_user_shows_what_they_liked_and_what_is_recommended(
    page: Page, live_release: Release
) -> None:
    page.goto("/")
    settle(page)
    choose(page, 12)
    settle(page, "user 12")
    seen = {
        plain(live_release.movie(movie).title) for movie in live_release.history_of(12).movie_ids.tolist()
    }
    assert set(titles(page, "ratings")) <= seen
    assert len(titles(page, "ratings")) == 10
    assert not set(titles(page, "programme")) & seen
    assert len(titles(page, "programme")) == 10
    best = live_release.history_of(12).ratings.max()
    expect(page.locator("#ratings .stars").first).to_have_attribute("aria-label", f"Rated {best:g} of 5")
    expect(page.locator("#programme .reason").first).to_contain_text("Because you liked")
    expect(page.locator("#status")).to_contain_text("10 movies recommended for user 12.")


def test_without_the_right_to_write_a_users_ratings_are_to_look_at(page: Page) -> None:
    page.goto("/?user=12")
    settle(page, "user 12")
    assert page.get_by_role("radio").count() == 0
    page.get_by_role("button", name="For me").click()
    settle(page)
    expect(page.locator("#programme").get_by_role("group")).to_have_count(10)


def test_whoever_removes_their_last_rating_by_keyboard_does_not_lose_their_place(page: Page) -> None:
    page.goto("/")
    settle(page)
    for query, title in [("hollow", "Hollow Orchard"), ("bell", "The Bell Ringers")]:
        search(page, query, title)
        answered(page, partial(give, page, title, 4))
    page.get_by_role("button", name="Remove the rating of The Bell Ringers").focus()
    answered(page, lambda: page.keyboard.press("Enter"))
    expect(page.locator("#ratings").get_by_role("button", name="Hollow Orchard", exact=True)).to_be_focused()
    page.get_by_role("button", name="Remove the rating of Hollow Orchard").focus()
    answered(page, lambda: page.keyboard.press("Enter"))
    expect(page.locator(".rated")).to_be_focused()


def test_where_anybody_may_write_a_user_rates_on_the_page(
    open_page: Callable[..., Page], start_service: Callable[..., RunningService]
) -> None:
    page = open_page(start_service(development=True).address)
    page.goto("/?user=12")
    settle(page, "user 12")
    unseen = titles(page, "programme")[0]
    stars = page.locator("#programme").get_by_role("group", name=f"Rate {unseen}", exact=True)
    answered(page, stars.get_by_role("radio", name="2.5 of 5").check)
    expect(page.locator("#ratings .title").first).to_have_text(unseen)
    assert unseen not in titles(page, "programme")
    page.reload()
    settle(page, "user 12")
    expect(page.locator("#ratings .title").first).to_have_text(unseen)
    answered(page, page.get_by_role("button", name=f"Remove the rating of {unseen}").click)
    assert unseen not in titles(page, "ratings")
    assert page.evaluate("localStorage.length") == 0


def test_a_link_shows_its_user_and_back_goes_back(page: Page) -> None:
    page.goto("/?user=5")
    settle(page, "user 5")
    expect(page).to_have_title("User 5 · Marquee")
    page.get_by_role("button", name="Next user").click()
    settle(page, "user 6")
    assert page.url.endswith("?user=6")
    page.go_back()
    settle(page, "user 5")


def test_the_first_and_the_last_user_have_one_neighbour(page: Page) -> None:
    page.goto("/?user=1")
    settle(page, "user 1")
    expect(page.get_by_role("button", name="Previous user")).to_be_disabled()
    expect(page.get_by_role("button", name="Next user")).to_be_enabled()
    choose(page, 30)
    settle(page, "user 30")
    expect(page.get_by_role("button", name="Next user")).to_be_disabled()
    assert len(titles(page, "programme")) == 3


def test_a_random_user_is_one_of_the_release(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.get_by_role("button", name="Random user").click()
    expect(page.locator("#recommended-title")).to_contain_text("user")
    assert 1 <= int(page.get_by_label("User", exact=True).input_value()) <= 30


def test_typing_suggests_users(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.get_by_label("User", exact=True).fill("2")
    expect(page.locator("#users option")).to_have_count(11)
    expect(page.locator("#users option").first).to_have_attribute("value", "2")


def test_an_unknown_user_is_shown_popular_movies(page: Page) -> None:
    page.goto("/?user=999")
    settle(page, "user 999")
    expect(page.locator("#rated-lead")).to_contain_text("Nobody by this number")
    expect(page.locator("#programme .reason").first).to_contain_text("Popular: rated by")


def test_an_answer_that_comes_wipes_out_nothing_typed_since(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.get_by_label("User", exact=True).fill("12")
    answered(page, page.get_by_role("button", name="Show more").click)
    expect(page.get_by_label("User", exact=True)).to_have_value("12")


def test_something_that_is_no_user_is_told_at_the_field(page: Page) -> None:
    page.goto("/")
    settle(page)
    choose(page, "somebody")
    expect(page.locator("#user-problem")).to_have_text("A user is a number, such as 42.")
    expect(page.get_by_label("User", exact=True)).to_have_attribute("aria-invalid", "true")


def test_an_address_that_makes_no_sense_is_read_as_far_as_it_does(page: Page) -> None:
    page.goto("/?user=abc&movie=-1&year_from=soon&year_to=1999&diversity=7&genres=Nonsense")
    settle(page)
    expect(page.locator("#filters-chosen")).to_have_text("All genres, until 1999")
    assert len(titles(page, "programme")) == 10


def test_a_service_that_fails_is_told_and_can_be_tried_again(page: Page) -> None:
    page.goto("/?user=2")
    settle(page, "user 2")

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/api/v1/recommendations/**", refuse)
    choose(page, 4)
    expect(page.get_by_role("alert").filter(has_text="Check that it is running")).to_be_visible()
    page.unroute("**/api/v1/recommendations/**", refuse)
    page.get_by_role("button", name="Try again").click()
    settle(page, "user 4")
    expect(page.locator("#failure")).to_be_hidden()


def test_too_many_requests_are_told_with_how_long_to_wait(
    open_page: Callable[..., Page], start_service: Callable[..., RunningService]
) -> None:
    page = open_page(start_service(requests_per_minute_address=1).address)
    page.goto("/")
    expect(page.locator("#failure-text")).to_contain_text(re.compile(r"Too many requests\. Wait \d+ seconds"))


def test_an_answer_that_does_without_something_says_so(page: Page) -> None:
    def degrade(content: Any) -> None:
        content["degraded"] = ["index"]

    page.route("**/api/v1/recommendations/*", patched(degrade))
    page.goto("/?user=3")
    settle(page, "user 3")
    expect(page.locator("#degraded")).to_contain_text("The index does not answer.")


def test_a_title_is_text_whatever_stands_in_it(page: Page, live_release: Release) -> None:
    def rename(content: Any) -> None:
        for movie in content["items"]:
            movie |= {"title": HOSTILE, "genres": [HOSTILE]}
            movie["reason"] = HOSTILE

    kept = [{"movie_id": 5, "title": HOSTILE, "release_year": HOSTILE, "genres": [HOSTILE], "rating": 4}]
    key = f"marquee.ratings.{live_release.manifest.dataset}"
    page.add_init_script(f"localStorage.setItem({json.dumps(key)}, {json.dumps(json.dumps(kept))})")
    page.route(re.compile(r"/api/v1/(recommendations|movies)\b(?!/)"), patched(rename))
    page.goto("/")
    settle(page)
    search(page, "static", HOSTILE)
    for listed in ("ratings", "programme", "results"):
        assert HOSTILE in titles(page, listed)[0]
    assert page.locator("img, main script").count() == 0


def test_typing_asks_once_and_an_answer_that_comes_late_is_passed_over(page: Page) -> None:
    page.goto("/")
    settle(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/movies" in request.url else None)
    page.clock.install()
    page.get_by_role("searchbox").press_sequentially("hollow orch")
    page.clock.run_for(1000)
    expect(page.locator("#results .title")).to_have_text(["Hollow Orchard"])
    assert len(asked) == 1

    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/movies?query=static*", hold)
    page.get_by_role("searchbox").fill("static")
    page.clock.run_for(1000)
    page.get_by_role("searchbox").fill("grand hotel")
    page.clock.run_for(1000)
    expect(page.locator("#results .title").first).to_have_text("Grand Hotel Ohio")
    assert len(late) == 1
    late[0].continue_()
    expect(page.locator("#found")).to_contain_text("“grand hotel”")


def test_several_ratings_in_a_row_ask_once_for_recommendations(page: Page) -> None:
    page.goto("/")
    settle(page)
    search(page, "hollow", "Hollow Orchard")
    asked: list[Response] = []
    page.on("response", lambda response: asked.append(response) if "/recommend" in response.url else None)
    page.clock.install()
    for rating in (3, 3.5, 4, 4.5):
        give(page, "Hollow Orchard", rating)
    with page.expect_response(lambda response: "/recommendations" in response.url):
        page.clock.run_for(5000)
    settle(page)
    assert len(asked) == 1


def test_the_footer_says_which_release_is_live_and_how_good(page: Page, live_release: Release) -> None:
    page.goto("/")
    expect(page.locator("#release-version")).to_have_text(live_release.version)
    expect(page.locator("#release-ndcg")).to_have_text("0.431 (most popular: 0.203)")
    expect(page.locator("#release-coverage")).to_have_text("38 % of the catalogue")


def test_an_answer_of_another_release_brings_the_footer_up_to_date(page: Page) -> None:
    page.goto("/?user=2")
    settle(page, "user 2")

    def rename(content: Any) -> None:
        content["release"] = "20990101T000000Z-00000000"

    page.route("**/api/v1/recommendations/*", patched(rename))
    with page.expect_response("**/readyz"):
        page.get_by_role("button", name="Next user").click()


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    page.goto("/?user=30")
    settle(page, "user 30")
    assert page.evaluate(fits)
    page.goto("/")
    settle(page)
    page.locator("summary").click()
    search(page, "cartographer", LONGEST)
    answered(page, lambda: give(page, LONGEST, 4))
    assert page.evaluate(fits)
    page.locator("#results .title button").first.click()
    expect(page.locator("#similar .title")).to_have_count(6)
    assert page.evaluate(fits)
    assert page.evaluate(
        "document.getElementById('movie').scrollWidth <= document.getElementById('movie').clientWidth"
    )


def test_a_finger_finds_the_stars(open_page: Callable[..., Page], address: str) -> None:
    page = open_page(address, viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True)
    page.goto("/")
    settle(page)
    box = page.locator("#programme").get_by_role("radio").first.bounding_box()
    assert box is not None
    assert box["width"] >= 24  # WCAG 2.2, target size, in CSS pixels
    assert box["height"] >= 24
    answered(page, page.locator("#programme label:has(input[value='4.5'])").first.tap)
    assert len(titles(page, "ratings")) == 1


def test_on_a_phone_a_first_rating_moves_nothing_below_it(
    open_page: Callable[..., Page], address: str
) -> None:
    page = open_page(address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/")
    settle(page)
    top = "document.getElementById('programme').getBoundingClientRect().top + window.scrollY"
    before = page.evaluate(top)
    answered(page, page.locator("#programme label:has(input[value='4.5'])").first.tap)
    assert page.evaluate(top) == before
    assert len(titles(page, "ratings")) == 1


def test_nothing_jumps_while_the_page_loads(page: Page) -> None:
    page.add_init_script(SHIFTS)
    page.goto("/")
    settle(page)
    assert page.evaluate("window.shifted") < 0.1  # what the web vitals call good


def test_the_keyboard_alone_suffices(page: Page) -> None:
    page.goto("/")
    settle(page)
    press = page.keyboard.press

    def focused() -> str:
        found = "document.activeElement.id || document.activeElement.textContent.trim()"
        return str(page.evaluate(found))

    reached = []
    for _ in range(6):
        press("Tab")
        reached.append(focused())
    assert reached == ["Skip to the recommendations", "myself", "user", "Show", "random", "query"]

    page.keyboard.type("hollow")
    expect(page.locator("#results .title")).to_have_text(["Hollow Orchard"])
    press("Tab")
    assert focused() == "Hollow Orchard"
    press("Tab")
    press("Space")  # half a star
    for _ in range(8):
        press("ArrowRight")
    expect(page.locator("#results input:focus")).to_have_value("4.5")
    answered(page, lambda: press("Tab"))
    assert titles(page, "ratings") == ["Hollow Orchard"]

    page.locator("#programme .title button").first.focus()
    press("Tab")
    press("Space")
    second = titles(page, "programme")[1]
    answered(page, lambda: press("Tab"))
    assert titles(page, "programme")[0] == second
    assert page.evaluate("document.activeElement !== document.body")

    page.locator("#programme .title button").first.focus()
    press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert focused() == "movie-title"
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#programme .title button").first).to_be_focused()


def test_the_skip_link_goes_to_the_recommendations_and_changes_nothing_else(page: Page) -> None:
    page.goto("/?user=7")
    settle(page, "user 7")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#recommended")).to_be_focused()
    settle(page, "user 7")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(
    open_page: Callable[..., Page], address: str, scheme: str
) -> None:
    page = open_page(address, color_scheme=scheme, reduced_motion="reduce")

    def check() -> None:
        violations = Axe().run(page).response["violations"]
        assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations] == []

    page.goto("/")
    settle(page)
    check()
    page.locator("summary").click()
    answered(page, page.get_by_role("checkbox", name="Drama").first.check)
    answered(page, page.get_by_role("checkbox", name="Horror").last.check)
    search(page, "hollow", "Hollow Orchard")
    answered(page, lambda: give(page, "Hollow Orchard", 4.5))
    check()
    page.locator("#programme .title button").first.click()
    expect(page.locator("#similar .title")).to_have_count(6)
    check()
    page.goto("/?user=12")
    settle(page, "user 12")
    check()


@pytest.fixture
def endpoint() -> Iterator[OpenAiEndpoint]:
    opened = OpenAiEndpoint()
    yield opened
    opened.close()


def test_why_opens_for_each_movie_by_the_keyboard_and_adds_up(
    open_page: Callable[..., Page], start_service: Callable[..., RunningService], two_stage_release: Path
) -> None:
    page = open_page(start_service(release=two_stage_release).address, reduced_motion="reduce")
    page.goto("/?user=7")
    settle(page, "user 7")
    row = page.locator("#programme > li").nth(1)
    reason = row.locator(".reason").text_content()
    title = row.locator(".title").text_content()
    # In the tree of an accessibility tool: a disclosure by the movie's own name.
    why = row.get_by_label(f"Why {title}?", exact=True)
    why.focus()
    page.keyboard.press("Enter")
    expect(row.locator(".why .sum")).to_be_visible()
    numbers = row.locator(".why .number").all_text_contents()
    *added, score = [float(number.replace("\N{MINUS SIGN}", "-")) for number in numbers]
    assert sum(added) == pytest.approx(score, abs=0.0006 * len(numbers))
    assert row.locator(".reason").text_content() == reason
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Enter")
    expect(row.locator(".why .sum")).to_be_hidden()


def test_the_words_of_a_language_model_take_the_place_of_the_reason(
    open_page: Callable[..., Page],
    start_service: Callable[..., RunningService],
    two_stage_release: Path,
    endpoint: OpenAiEndpoint,
) -> None:
    service = start_service(
        release=two_stage_release, environment={"LLM_BASE_URL": endpoint.base_url, "LLM_MODEL": "small"}
    )
    page = open_page(service.address)
    page.goto("/?user=7")
    settle(page, "user 7")
    first, second = (page.locator("#programme > li").nth(place) for place in (0, 1))
    first.locator("summary").click()
    expect(first.locator(".reason")).to_have_text(re.compile(r"^You liked .+\. So .+ may be for you\.$"))
    expect(first.locator(".wording")).to_have_text("In the words of a language model.")
    endpoint.says = lambda facts: f"{facts['recommended']['title']} is fine. It is like Inception."
    reason = second.locator(".reason").text_content()
    second.locator("summary").click()
    expect(second.locator(".wording")).to_be_empty()
    expect(second.locator(".reason")).to_have_text(f"{reason}.")
