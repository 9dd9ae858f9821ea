"""The page, in a real browser on a real service."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from recommender.release import Release

CHROMIUM = shutil.which("chromium")

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
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=address)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda request: complaints.append(request.url) if address not in request.url else None
    )
    yield opened
    context.close()
    assert complaints == []


def titles(page: Page, listed: str) -> list[str]:
    return page.locator(f"#{listed} .title").all_text_contents()


def wait_for(page: Page, user_id: int) -> None:
    expect(page.locator("#recommended-title")).to_have_text(f"Now showing for user {user_id}")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def choose(page: Page, user_id: int | str) -> None:
    page.get_by_label("User", exact=True).fill(str(user_id))
    page.get_by_role("button", name="Show").click()


def plain(title: str) -> str:
    return re.sub(r" \(\d{4}\)$", "", title)


def test_choosing_a_user_shows_what_they_liked_and_what_is_recommended(
    page: Page, live_release: Release
) -> None:
    page.goto("/")
    wait_for(page, 1)
    choose(page, 12)
    wait_for(page, 12)
    seen = {
        plain(live_release.movie(movie).title) for movie in live_release.history_of(12).movie_ids.tolist()
    }
    assert set(titles(page, "liked")) <= seen
    assert len(titles(page, "liked")) == 10
    assert not set(titles(page, "programme")) & seen
    assert len(titles(page, "programme")) == 10
    best = live_release.history_of(12).ratings.max()
    expect(page.locator("#liked .stars").first).to_have_attribute("aria-label", f"Rated {best:g} of 5")
    expect(page.locator("#programme .reason").first).to_contain_text("Because you liked")
    expect(page.get_by_role("status")).to_have_text("10 movies recommended to user 12.")


def test_another_user_gets_another_list(page: Page) -> None:
    page.goto("/#user=3")
    wait_for(page, 3)
    first = titles(page, "liked"), titles(page, "programme")
    choose(page, 8)
    wait_for(page, 8)
    second = titles(page, "liked"), titles(page, "programme")
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_a_link_shows_its_user_and_back_goes_back(page: Page) -> None:
    page.goto("/#user=5")
    wait_for(page, 5)
    expect(page).to_have_title("User 5 · Marquee")
    page.get_by_role("button", name="Next user").click()
    wait_for(page, 6)
    assert page.url.endswith("#user=6")
    page.go_back()
    wait_for(page, 5)


def test_the_first_and_the_last_user_have_one_neighbour(page: Page) -> None:
    page.goto("/#user=1")
    wait_for(page, 1)
    expect(page.get_by_role("button", name="Previous user")).to_be_disabled()
    expect(page.get_by_role("button", name="Next user")).to_be_enabled()
    choose(page, 30)
    wait_for(page, 30)
    expect(page.get_by_role("button", name="Next user")).to_be_disabled()
    assert len(titles(page, "programme")) == 3


def test_a_random_user_is_one_of_the_release(page: Page) -> None:
    page.goto("/#user=999")
    wait_for(page, 999)
    page.get_by_role("button", name="Random user").click()
    expect(page.locator("#recommended-title")).not_to_have_text("Now showing for user 999")
    assert 1 <= int(page.get_by_label("User", exact=True).input_value()) <= 30


def test_typing_suggests_users(page: Page) -> None:
    page.goto("/")
    wait_for(page, 1)
    page.get_by_label("User", exact=True).fill("2")
    expect(page.locator("#users option")).to_have_count(11)
    expect(page.locator("#users option").first).to_have_attribute("value", "2")


def test_an_unknown_user_is_shown_popular_movies(page: Page) -> None:
    page.goto("/#user=999")
    wait_for(page, 999)
    expect(page.locator("#liked-lead")).to_contain_text("Nobody by this number")
    expect(page.locator("#programme .reason").first).to_contain_text("Popular: rated by")


def test_something_that_is_no_user_is_told_at_the_field(page: Page) -> None:
    page.goto("/")
    wait_for(page, 1)
    choose(page, "somebody")
    expect(page.locator("#user-problem")).to_have_text("A user is a number, such as 42.")
    expect(page.get_by_label("User", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_service_that_fails_is_told_and_can_be_tried_again(page: Page) -> None:
    page.goto("/#user=2")
    wait_for(page, 2)

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/api/v1/recommendations/**", refuse)
    choose(page, 4)
    expect(page.locator("#failure")).to_be_visible()
    page.unroute("**/api/v1/recommendations/**", refuse)
    page.get_by_role("button", name="Try again").click()
    wait_for(page, 4)
    expect(page.locator("#failure")).to_be_hidden()


def test_the_footer_says_which_release_is_live_and_how_good(page: Page, live_release: Release) -> None:
    page.goto("/")
    expect(page.locator("#release-version")).to_have_text(live_release.version)
    expect(page.locator("#release-ndcg")).to_have_text("0.431 (most popular: 0.203)")
    expect(page.locator("#release-coverage")).to_have_text("38 % of the catalogue")


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto("/#user=30")
    wait_for(page, 30)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_everything_can_be_reached_with_the_keyboard(page: Page) -> None:
    page.goto("/#user=2")
    wait_for(page, 2)
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        )
    assert reached == ["Skip to the recommendations", "user", "Show", "previous", "next", "random"]
