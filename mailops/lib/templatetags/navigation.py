"""The left navigation, in the order in which a message flows."""

from dataclasses import dataclass

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

register = template.Library()


@dataclass(frozen=True)
class Place:
    label: str
    url_name: str
    icon: str
    key: str  # `g`, then this letter, goes there


PLACES = [
    Place("Overview", "reports:overview", "overview", "o"),
    Place("Campaigns", "campaigns:list", "campaigns", "c"),
    Place("Templates", "content:list", "templates", "t"),
    Place("Audiences", "audiences:list", "audiences", "a"),
    Place("Domains", "domains:list", "domains", "d"),
    Place("Transports", "transports:list", "transports", "p"),
    Place("Messages", "outbox:list", "messages", "m"),
    Place("Suppressions", "suppressions:list", "suppressions", "u"),
    Place("Reports", "reports:reports", "reports", "r"),
    Place("Incidents", "incidents:list", "incidents", "i"),
    Place("Rollouts", "rollouts:list", "rollouts", "l"),
    Place("Sandbox", "sandbox:list", "sandbox", "b"),
    Place("Settings", "accounts:settings", "settings", "s"),
]

# apps without a place of their own, and the one that their pages are reached from
WITHIN = {
    "signatures": "reports:reports",
    "feedback": "outbox:list",
    "digests": "reports:reports",
}


@dataclass(frozen=True)
class Link:
    place: Place
    url: str
    is_current: bool


def resolve(url_name: str, *arguments: object) -> str:
    """Return the address of `url_name`, or "" where no app answers to it."""
    try:
        return reverse(url_name, args=arguments)
    except NoReverseMatch:
        return ""


def links(request: HttpRequest) -> list[Link]:
    """Return the places that exist, and which of them the request is in."""
    app = request.resolver_match.app_name if request.resolver_match else ""
    here = request.resolver_match.view_name if request.resolver_match else ""
    found = [(place, resolve(place.url_name)) for place in PLACES]
    return [
        Link(place, url, is_current=_is_current(place, app, here, request.path, url))
        for place, url in found
        if url
    ]


def _is_current(place: Place, app: str, here: str, path: str, url: str) -> bool:
    if "/campaigns/" in path:
        return place.url_name == "campaigns:list"  # launching and retrying belong to a campaign
    if app in WITHIN:
        return place.url_name == WITHIN[app]
    if place.url_name.startswith("reports:"):
        return here == place.url_name or (url != "/" and path.startswith(url))
    if place.url_name == "accounts:settings" and path.startswith("/accounts/"):
        return True  # allauth's pages about one's own log-in
    return app == place.url_name.partition(":")[0] or path.startswith(url)


@register.inclusion_tag("_parts/navigation.html", takes_context=True)
def navigation(context: template.Context) -> dict[str, object]:
    return {"links": links(context["request"])}


@register.simple_tag
def url_if_any(url_name: str, *arguments: object) -> str:
    """Return the address of `url_name`, or nothing where no app answers to it."""
    return resolve(url_name, *arguments)
