"""What a new template may begin with, so that nobody begins with an empty page."""

from dataclasses import dataclass, field
from typing import Any

from mailops.content.models import Syntax

_FRAME = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <style>
    body {{ margin: 0; font-family: system-ui, sans-serif; line-height: 1.5; }}
    .page {{ margin: 0 auto; padding: 24px; }}
    .button {{ display: inline-block; padding: 10px 16px; background: #1d4ed8; color: #ffffff; }}
    .small {{ font-size: 13px; color: #5b6472; }}
    .small a {{ color: #1d4ed8; }}
    @media (min-width: 648px) {{
      .page {{ width: 600px; }}
    }}
    @media (prefers-color-scheme: dark) {{
      body {{ background: #14171c; color: #e8eaed; }}
      .small, .small a {{ color: #a3abb8; }}
    }}
  </style>
</head>
<body>
  <div style="display: none">{preheader}</div>
  <div class="page">
{body}
    <p class="small">You get this mail as {{{{ email }}}}. <a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></p>
  </div>
</body>
</html>
"""


@dataclass(frozen=True)
class Starter:
    label: str
    subject: str = ""
    html: str = ""
    sample: dict[str, Any] = field(default_factory=dict)
    syntax: str = Syntax.HTML


STARTERS = {
    "letter": Starter(
        "A letter with a button",
        "Hello {{ first_name | default: 'there' }}",
        _FRAME.format(
            title="News",
            preheader="One sentence that makes them open it.",
            body="""    <h1>Hello {{ first_name | default: 'there' }},</h1>
    <p>Write what there is to say.</p>
    <p><a class="button" href="https://example.com/">Read more</a></p>""",
        ),
        {"first_name": "Ada"},
    ),
    "receipt": Starter(
        "A receipt with rows",
        "Your order {{ order_number }}",
        _FRAME.format(
            title="Your order",
            preheader="What you ordered, and what it costs.",
            body="""    <h1>Thank you, {{ first_name | default: 'friend' }}</h1>
    <table width="100%">
      <tr><th align="left">What</th><th align="right">Price</th></tr>
      {% for item in items %}
      <tr><td>{{ item.name }}</td><td align="right">{{ item.price }}</td></tr>
      {% endfor %}
    </table>""",
        ),
        {
            "first_name": "Ada",
            "order_number": "1042",
            "items": [{"name": "Tea", "price": "3.00"}, {"name": "Honey", "price": "4.50"}],
        },
    ),
    "mjml": Starter(
        "A letter in MJML",
        "Hello {{ first_name | default: 'there' }}",
        """<mjml lang="en">
  <mj-head>
    <mj-title>News</mj-title>
    <mj-preview>One sentence that makes them open it.</mj-preview>
  </mj-head>
  <mj-body background-color="#ffffff">
    <mj-section>
      <mj-column>
        <mj-text font-family="Helvetica, Arial, sans-serif" font-size="28px" line-height="1.3" color="#1f2430">Hello {{ first_name | default: 'there' }},</mj-text>
        <mj-text font-family="Helvetica, Arial, sans-serif" font-size="16px" line-height="1.5" color="#1f2430">Write what there is to say.</mj-text>
        <mj-button href="https://example.com/" font-family="Helvetica, Arial, sans-serif" font-size="16px" background-color="#1d4ed8" color="#ffffff" border-radius="6px">Read more</mj-button>
        <mj-divider border-width="1px" border-color="#d5d9e0" />
        <mj-text font-family="Helvetica, Arial, sans-serif" font-size="14px" line-height="1.5" color="#5b6472">
          You get this mail as {{ email }}. <a href="{{ unsubscribe_url }}" style="color: #1d4ed8">Unsubscribe</a>
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
""",
        {"first_name": "Ada"},
        Syntax.MJML,
    ),
    "blank": Starter("Nothing"),
    "blank_mjml": Starter("Nothing, in MJML", syntax=Syntax.MJML),
}
