"""Templates that a security tester would try, and a program that looks each over and says what came of it."""

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

LOOP = "{% for i in (1..10000) %}"
LIQUID = {
    "nested loops": LOOP + "{% for j in (1..10000) %}x{% endfor %}{% endfor %}",
    "one loop after another": (LOOP + "{% endfor %}") * 5000,
    "a loop over much source": LOOP + "{% if 1 %}{% endif %}" * 9000 + "{% endfor %}",
    "a huge range": "{% for i in (1..1000000000000) %}{% endfor %}",
    "a huge range, reversed": "{% for i in (1..1000000000) reversed %}{% endfor %}",
    "a search in a huge range": '{% if (1..10000000000000) contains "a" %}{% endif %}',
    "searches in ranges": '{% if (1..10000) contains "a" %}{% endif %}' * 5000,
    "a string that doubles": '{% assign a = "aaaaaaaa" %}' + "{% assign a = a | append: a %}" * 60,
    "a string that replaces itself": '{% assign a = "aaaaaaaa" %}'
    + '{% assign a = a | replace: "a", a %}' * 9,
    "a string with its gaps replaced": '{% assign a = "aaaaaaaa" %}'
    + '{% assign a = a | replace: "", a %}' * 9,
    "a long separator": "{% capture s %}"
    + "x" * 5000
    + "{% endcapture %}{{ (1..10000) | join: s }}",
    "a list of one long string": "{% capture s %}"
    + "x" * 40000
    + '{% endcapture %}{% assign l = s | split: "," %}'
    + "{% assign l = l | concat: l %}" * 20
    + "{{ l }}",
    "a number that squares": "{% assign a = 9 %}" + "{% assign a = a | times: a %}" * 60,
    "a number of a billion digits": '{% assign x = "1E+999999999" | split: "," | sum %}'
    "{% for i in (1..x) %}{% endfor %}",
    "comparing each with each": "{{ (1..10000) | uniq | size }}" * 5,
    "captures in captures": LOOP
    + "{% capture a %}{{ a }}xxxxxxxxxxxxxxxx{{ a }}{% endcapture %}{% endfor %}",
    "a wall of text": "{% for i in (1..10000) %}" + "x" * 200 + "{% endfor %}",
    "unclosed raw": "{% raw %}" * 28000,
    "unclosed doc": "{% doc %}" * 28000,
    "unclosed outputs": "{{" * 100_000,
    "unclosed tags": "{% if a %}" * 20_000,
    "a gap without end": "{% if " + " " * 100_000 + "%}",
    "nested brackets": "{{ " + "a[" * 3000 + "}}",
    "deep nesting": "{% if a %}" * 31 + "{% endif %}" * 31,
    "much logic": "{% if " + "a and " * 1300 + "a %}{% endif %}",
    "dates of short texts": LOOP
    + '{% assign d = "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 " | append: i | date: "%Y" %}{% endfor %}'
    * 9,
    "too long a source": "x" * (256 * 1024 + 1),
    "an include": "{% include 'settings.py' %}",
    "an unknown filter": "{{ a | nope }}",
    "a date out of range": '{{ "99999999999999999999999" | date: "%d" }}',
    "bad base64": '{{ "////" | base64_decode }}',
}
DEEP = "<mj-wrapper>" * 15_000
LETTER = "<mjml><mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
MARKUP = {
    "a script": "<p>x</p><script>alert(1)</script>",
    "an event handler": "<img src=x alt='' width=1 onerror=alert(1)>",
    "a link that runs a script": "<a href='java&#115;cript:alert(1)'>x</a>",
    "a name that looks like another": "<a href='https://pаypal.com/'>x</a>",
    "a host behind a user": "<a href='https://paypal.com@evil.example/'>x</a>",
    "a refresh": "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "another charset": "<meta charset=utf-7>+ADw-script+AD4-",
}


def again(words):
    """Repeat `words` until they are nearly as long as a source may be."""
    return words * (250_000 // len(words))


# What a pattern that looks for an end would search to the end of the source, again and again.
OPEN = {
    "comments without end": again("<!--"),
    "comments without end beside a style": "<style>p{color:red}</style>" + again("<!--"),
    "conditions without end": again("<!--[if"),
    "conditions that never say what": "<p>x</p>" + again("@media "),
    "dark conditions without end": f"<style>{again('@media prefers-color-scheme ')}</style>",
    "conditions in conditions": f"<style>{'@media x{' * 20_000}{'}' * 20_000}</style>",
    "schemes without end": again("color-scheme:"),
    "colons before a unit": f"<style>p{{{again(':')} vw rem}}</style>",
    "tags without end": again("<a "),
    "quotes without end": again("<a '</a '"),
    "styles without end in comments": again("<!-- <style> -->"),
    "styles that end wrongly": again("<style></style x "),
    "angles": again("<"),
    "a picture again and again": again("<img src='/a.png'>"),
    "comments that a loop opens": "{% for i in (1..10000) %}<!-- {% endfor %}",
    "styles that a loop opens": "{% for i in (1..9000) %}<style><!--{% endfor %}",
    "a date as wide as can be": '{{ "now" | date: "%99999999d" }}',
    "dates of long texts": "{% capture x %}"
    + "1." * 40_000
    + "{% endcapture %}{% for i in (1..200) %}"
    + '{% assign z = x | append: i | date: "%Y" %}{% endfor %}',
    "an attribute without end": "<p>hi</p><a " + "x" * 90_000 + ">hi</a>",
    "attributes without values": "<a " + "x " * 45_000 + ">hi</a>",
    "ends without an element": "<p>x</p>" + again(">"),
    "values one after another": "<a href='" + "{{ a }}" * 12_000 + "'>hi</a>",
    "a table of one column": f"{{% tablerow i in (1..10000) cols:1 %}}{'x' * 999}{{% endtablerow %}}",
}
MJML = {
    "wrappers without end": f"<mjml><mj-body>{DEEP}",
    "wrappers in wrappers": f"<mjml><mj-body>{DEEP}{DEEP.replace('<', '</')}</mj-body></mjml>",
    "comments without end in MJML": "<mjml><mj-body>" + again("<!--"),
    "an included file": "<mjml><mj-body><mj-include path='/etc/passwd' /></mj-body></mjml>",
}
BESIDE = {
    "styles to inline in a comment": "<!--" + again('<mj-style inline="inline">') + "-->",
    "titles in a comment": f"<!--{again('<mj-title>')}-->",
    "comments in a title": f"<title>{again('<!--')}</title>",
    "comments in a style with a slash": f"<style a='/>'>{again('<!--')}</style>",
    "heads in a comment": f"<!--{again('<mj-head>')}-->",
    "tags that MJML drops": f"<mj-head>{'{{ a }}' * 12_000}</mj-head>",
}
GAPS = {
    "gaps between no words": "<b> </b>" * 120_000 + "x",
    "line ends between no words": "<br></br>" * 90_000 + "x",
}
NAMES = {
    "long names": ("{{ " + "a" * 7900 + "[0] }}") * 32,
    "names beside long conditions": "{{ a }}" * 16_000
    + ("{% if " + "b" * 7900 + " %}{% endif %}") * 16,
}
STYLED = {
    "many selectors over many elements": "<style>"
    + "".join(
        f"div div:nth-child({n}) div ~ div > *:not(.a{n}) {{ color: red }}" for n in range(900)
    )
    + "</style>"
    + "<div>" * 900
    + "<div></div>" * 9000,
    "elements in elements": "<style>div { color: red }</style>" + "<div>" * 40_000,
    "a gap in a declaration": f"<style>@media x{{p{{color:red{' ' * 200_000}x}}}}</style><p>x</p>",
    "a gap in a style": f"<style>p{{color:red}}</style><p style='color:red{' ' * 90_000}x'>x</p>",
    "colons before a bracket": f"<style>@media x{{p{{a{':' * 90_000}(;}}}}</style><p>x</p>",
    "comments without end in a style": "<style>" + "<!--" * 40_000 + "</style><p>x</p>",
    "styles in a style": "<style>" * 30_000 + "</style><p>x</p>",
    "conditions without end": "<p>x</p>" + "<!--[if " * 30_000 + "-->",
    "a style that never ends": "<style>" + "a{" * 60_000,
    "attributes without end": "<style>p{color:red}</style><p " + "a='" * 50_000,
}
INJECTED = {
    "a header through data": ("Hi {{ a }}", "<p>x</p>", "x\r\nBcc: all@example.com\r\n\r\nbody"),
    "a parameter through data": ("x", "<a href='https://x.example/?q={{ a }}'>x</a>", "1&admin=1"),
    "a declaration through data": ("x", "<p style='color: {{ a }}'>x</p>", "red;display:none"),
    "an element through data": ("x", "<p>{{ a }}</p>", "</p><script>alert(1)</script>"),
    "an attribute through data": ("x", "<img alt='{{ a }}' src='/x.png'>", "' onerror='alert(1)"),
    "an address that runs a script": ("x", "<a href='{{ a }}'>x</a>", "javascript:alert(1)"),
}


def high_water_mark() -> int:
    """Return the kilobytes that this program held at most; getrusage also counts what the process was before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def main():
    import django

    django.setup()
    from mailops.content import child
    from mailops.content.checking import Sources, look_over
    from mailops.content.models import MailTemplate
    from mailops.content.people import bare_names
    from mailops.content.plain_text import derive_text
    from mailops.content.visual import Inexpressible, open_visually

    said = {}
    for name, html in GAPS.items():
        start = time.process_time()
        text = derive_text(html)
        said[name] = [[], time.process_time() - start, text == "x\n"]
    sources = {
        name: {"html": html} for name, html in {**LIQUID, **MARKUP, **STYLED, **OPEN}.items()
    }
    mjml = MJML | {
        name: LETTER.replace("<mj-body>", f"{one}<mj-body>") for name, one in BESIDE.items()
    }
    sources |= {name: {"html": html, "syntax": "mjml"} for name, html in mjml.items()}
    for name, source in sources.items():
        start = time.process_time()
        look = look_over(subject="x", text="x", sample={"a": 1}, **source)
        seconds = time.process_time() - start
        said[name] = [[one.sentence for one in look.errors], seconds, look.rendered is not None]
    ours = high_water_mark()
    for name, html in NAMES.items():
        start = time.process_time()
        found = list(bare_names(Sources(html=html)))
        said[name] = [[], time.process_time() - start, bool(found)]
    for name, source in {
        **MJML,
        **{name: f"<mjml>{one}</mjml>" for name, one in BESIDE.items()},
        "blocks": again("{% render 'b' %}"),
    }.items():
        start = time.process_time()
        with contextlib.suppress(Inexpressible, ValueError):  # one that opens has no pictures here
            open_visually(MailTemplate(name="x", syntax="mjml"), source)
        said[f"{name}, opened visually"] = [[], time.process_time() - start, True]
    filled = {}
    for name, (subject, html, value) in INJECTED.items():
        look = look_over(subject=subject, html=html, text="x", sample={"a": value})
        filled[name] = [look.rendered.subject, look.rendered.html]
    child.end_idle()  # only of children that ended is told what they held
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    json.dump({"said": said, "filled": filled, "kilobytes": [ours, theirs]}, sys.stdout)


if __name__ == "__main__":
    main()
