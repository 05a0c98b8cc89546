"""Templates as files: out, in again, and what a file may not do."""

import json
from concurrent.futures import ThreadPoolExecutor
from xml.etree.ElementTree import parse as parse_xml

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from mailops.content import filing
from mailops.content.enclosing import add_file, remove_file, show_or_attach
from mailops.content.filing import changes_of, export_templates, import_templates
from mailops.content.folders import BadFile, read_templates
from mailops.content.gates.clients import features
from mailops.content.models import MailTemplate
from tests.content.some_files import PDF, png


@pytest.fixture
def templates(db):
    layout = MailTemplate.objects.create(
        name="Frame", kind="layout", draft_html="<html>{{ content }}</html>"
    )
    mail = MailTemplate.objects.create(
        name="Spring/../news",
        layout=layout,
        draft_subject="Hi: {{ x }} – “ü”",
        draft_html="<p>\r\n{{ x }}</p>\n",
        draft_text="Hi\n",
        sample={"x": "yes", "n": [1, {"a": None}]},
        needs_approval=True,
    )
    mail.variants.create(
        language="pt-br", also_for="gl", draft_subject="Olá", draft_html="<p>Olá</p>"
    )
    mail.save()
    return [layout, mail]


def is_held(name):
    """Tell, over a connection of its own, whether somebody who saves this template would wait."""
    try:
        with transaction.atomic():
            MailTemplate.objects.select_for_update(nowait=True).get(name=name)
    except OperationalError:
        return True
    finally:
        connection.close()
    return False


@pytest.mark.django_db(transaction=True)
def test_no_draft_is_saved_while_files_are_compared_with_it(tmp_path, monkeypatch):
    MailTemplate.objects.create(name="Spring", draft_html="<p>Hi</p>")
    export_templates(tmp_path)
    found = []

    def compare(filed):
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(is_held, "Spring").result())
        return changes_of(filed)

    monkeypatch.setattr(filing, "changes_of", compare)
    import_templates(read_templates(tmp_path), actor=None)
    assert found == [True]


class TestFiles:
    def test_come_back_as_they_were(self, templates, tmp_path):
        export_templates(tmp_path)
        filed = read_templates(tmp_path)
        assert {change.word for change in changes_of(filed)} == {"the same"}
        hashes = {t.name: t.draft_hash for t in MailTemplate.objects.all()}
        MailTemplate.objects.filter(layout__isnull=False).delete()
        MailTemplate.objects.all().delete()
        changes = import_templates(filed, actor=None)
        assert {change.word for change in changes} == {"new"}
        made = MailTemplate.objects.get(name="Spring/../news")
        assert (made.draft_html, made.sample["n"]) == ("<p>\r\n{{ x }}</p>\n", [1, {"a": None}])
        assert made.variants.get().language == "pt-br"
        assert set(hashes) == {"Frame", "Spring/../news"}

    def test_bring_what_goes_with_the_mail(self, templates, tmp_path):
        mail = templates[1]
        for name, content in {"logo.png": png(), "Größe.pdf": PDF, "sign.png": png(5, 5)}.items():
            file = add_file(template=mail, name=name, content=content, actor=None)
        show_or_attach(file=file, is_inline=False, actor=None)
        export_templates(tmp_path)
        folder = tmp_path / "springnews"
        assert (folder / "files" / "Größe.pdf").read_bytes() == PDF
        assert {change.word for change in changes_of(read_templates(tmp_path))} == {"the same"}
        mail.refresh_from_db()
        before = mail.draft_hash
        remove_file(file=file, actor=None)
        (change,) = (c for c in import_templates(read_templates(tmp_path), actor=None) if c.fields)
        assert change.fields == ["files"]
        mail.refresh_from_db()
        assert mail.draft_hash == before
        remove_file(file=mail.files.there().get(name="sign.png"), actor=None)
        export_templates(tmp_path)
        assert sorted(path.name for path in (folder / "files").iterdir()) == [
            "Größe.pdf",
            "logo.png",
        ]

    @pytest.mark.parametrize(
        ("listed", "words"),
        [
            ("{logo.png: shown}", "isn't there"),
            ("{../x.png: shown}", "can't be kept"),
            ("{a.png: often}", "can't be kept"),
            ("{a.png: [shown]}", "can't be kept"),
            ("[a.png]", "has to say"),
            ("{fake.png: shown}", "something else"),
            ("{link.png: shown}", "leads out"),
        ],
    )
    def test_refuse_files_that_no_mail_should_carry(self, tmp_path, listed, words):
        files = tmp_path / "in" / "x" / "files"
        files.mkdir(parents=True)
        (files.parent / "template.yaml").write_text(f"name: x\nfiles: {listed}")
        (files / "fake.png").write_text("<script>alert(1)</script>")
        (tmp_path / "secret.png").write_bytes(png())
        (files / "link.png").symlink_to(tmp_path / "secret.png")
        with pytest.raises(BadFile, match=words):
            read_templates(tmp_path / "in")

    def test_a_dry_run_changes_nothing(self, templates, tmp_path, capsys):
        export_templates(tmp_path)
        (tmp_path / "frame" / "source.html").write_text("<html>new {{ content }}</html>")
        call_command("import_templates", str(tmp_path), "--dry-run")
        assert "changed  Frame: source" in capsys.readouterr().out
        assert "new" not in MailTemplate.objects.get(name="Frame").draft_html
        call_command("import_templates", str(tmp_path))
        assert "new" in MailTemplate.objects.get(name="Frame").draft_html

    @pytest.mark.parametrize(
        "meta",
        [
            "name: x\nsource: ../../etc/passwd",
            "name: x\nsyntax: jinja",
            "name: [x]",
            "- x",
            "name: ''",
            "name: &a x\ndescription: *a",
            "name: !!python/object/apply:os.system [ls]",
            "name: x\nlanguages: {../../x: {subject: a}}",
            "a: " + "[" * 5000,
            r'name: "x\0"',
            r'{name: x, description: "\ud800"}',
            f"name: {'x' * 101}",
            f"name: x\nlanguage: {'e' * 36}",
            f"name: x\nsubject: {'s' * 501}",
            f"name: x\nlanguages: {{de: {{subject: {'s' * 501}}}}}",
            f"name: x\nlanguages: {{de: {{also_for: {'s' * 201}}}}}",
            r'{name: x, languages: {de: {subject: "\0"}}}',
        ],
    )
    def test_refuse_what_they_may_not_say(self, tmp_path, meta):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "template.yaml").write_text(meta)
        with pytest.raises(BadFile):
            read_templates(tmp_path)

    def test_say_what_a_field_has_to_be(self, tmp_path):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "template.yaml").write_text("name: x\nneeds_approval: maybe")
        with pytest.raises(BadFile, match="“needs_approval” has to be true or false"):
            read_templates(tmp_path)

    def test_refuse_a_sample_whose_names_are_no_text(self, tmp_path):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "template.yaml").write_text("name: x")
        (tmp_path / "x" / "sample.yaml").write_text("2026-11-22: a day")
        with pytest.raises(BadFile, match="a name in it is no text"):
            read_templates(tmp_path)

    def test_refuse_links_that_lead_out(self, tmp_path):
        inside = tmp_path / "in" / "x"
        inside.mkdir(parents=True)
        (tmp_path / "secret").write_text("secret")
        (inside / "template.yaml").write_text("name: x")
        (inside / "source.html").symlink_to(tmp_path / "secret")
        with pytest.raises(BadFile, match="leads out"):
            read_templates(tmp_path / "in")


class TestCommands:
    def run(self, *arguments):
        with pytest.raises(SystemExit) as ended:
            call_command("check_template", *arguments)
        return ended.value.code

    def test_check_exits_with_what_ci_needs(self, tmp_path, capsys):
        file = tmp_path / "mail.html"
        file.write_text("<title>News</title><p>{{ nope }}</p>")
        assert self.run(str(file), "--json") == 0
        findings = json.loads(capsys.readouterr().out)["findings"]
        assert {"rule", "severity", "line", "why", "fix"} <= set(findings[0])
        assert self.run(str(file), "--fail-on", "warning") == 1
        file.write_text("{% if %}")
        report = tmp_path / "report.xml"
        assert self.run(str(file), "--junit", str(report)) == 1
        assert "<failure" in report.read_text()

    def test_check_asks_for_links_only_where_told(self, tmp_path, capsys):
        file = tmp_path / "mail.html"
        file.write_text("<title>News</title>\n<a href='https://127.0.0.1:1/gone'>Our shop</a>")
        self.run(str(file), "--json")
        assert "reach.dead" not in capsys.readouterr().out
        self.run(str(file), "--json", "--links")
        findings = json.loads(capsys.readouterr().out)["findings"]
        (dead,) = (each for each in findings if each["rule"] == "reach.dead")
        assert (dead["line"], "not public" in dead["sentence"]) == (2, True)

    def test_check_looks_at_each_language_and_asks_the_filters(self, db, capsys, settings):
        settings.MAILOPS_SPAMD = "127.0.0.1:1"
        template = MailTemplate.objects.create(
            name="T", draft_subject="Hi", draft_html="<p>Hi {{ email }}</p>"
        )
        template.variants.create(language="de", draft_subject="Hallo", draft_html="<p>{% if %}</p>")
        assert self.run("T", "--json") == 1
        findings = json.loads(capsys.readouterr().out)["findings"]
        told = {(each["language"], each["rule"], each["severity"]) for each in findings}
        assert ("de", "liquid.syntax", "error") in told
        assert ("", "spam.unasked", "warning") in told
        self.run("T")
        assert "de, HTML, line 1:" in capsys.readouterr().out

    def test_check_writes_a_report_that_reads_as_xml(self, tmp_path):
        file, report = tmp_path / "mail.html", tmp_path / "report.xml"
        file.write_text("<title>x</title><a href='java\x0bscript:\x01'>l</a>")
        assert self.run(str(file), "--junit", str(report), "--fail-on", "warning") == 1
        suite = parse_xml(report).getroot()
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        with pytest.raises(CommandError) as refused:
            self.run(str(file), "--junit", str(tmp_path / "no" / "report.xml"))
        assert refused.value.returncode == 2

    def test_check_says_that_a_folder_is_no_template(self, tmp_path):
        with pytest.raises(CommandError, match="has to say a “name”") as refused:
            call_command("check_template", str(tmp_path))
        assert refused.value.returncode == 2

    def test_check_says_2_where_it_could_not(self, db, tmp_path):
        with pytest.raises(CommandError) as refused:
            call_command("check_template", "No such template")
        assert refused.value.returncode == 2

    def test_render_writes_one_part(self, tmp_path, capsys):
        file = tmp_path / "mail.mjml"
        file.write_text(
            "<mjml><mj-head><mj-title>Hi {{ x }}</mj-title></mj-head><mj-body><mj-section><mj-column>"
            "<mj-text>Hello {{ x }}</mj-text></mj-column></mj-section></mj-body></mjml>"
        )
        sample = tmp_path / "sample.yaml"
        sample.write_text("x: Ada")
        for part, words in (("subject", "Hi Ada"), ("text", "Hello Ada"), ("html", ">Hello Ada<")):
            call_command("render_template", str(file), "--sample", str(sample), "--part", part)
            assert words in capsys.readouterr().out

    def test_a_table_of_caniemail_takes_the_place_of_ours(self, tmp_path, settings, capsys):
        settings.MAILOPS_HOME = tmp_path

        def entry(title, category="css", **stats):
            stats = {name: {**each} for name, each in stats.items()}
            return {"title": title, "category": category, "url": "/features/x/", "stats": stats}

        data = [
            entry("border-radius", outlook={"windows": {"2016": "y", "2019": "n #1"}}),
            entry("left, right", outlook={"outlook-com": {"2023-12": "n"}}),
            entry("display:flex", gmail={"ios": {"2019-10": "n"}}, outlook={"windows": {}}),
            entry("`<video>` element", "html", gmail={"ios": {"2019-10": "n"}}),
            entry("margin", gmail={"ios": {"2019-10": "a #1"}}),
            entry("calc()", outlook={"windows": {"2013": "n", "2019": "y"}}),
            entry("HTML5 doctype", "html", gmail={"ios": {"2019-10": "n"}}),
            entry("BIMI", "others", gmail={"ios": {"2019-10": "n"}}),
        ]
        file = tmp_path / "data.json"
        file.write_text(json.dumps({"api_version": "1.0.0", "data": data}))
        call_command("import_client_support", str(file))
        assert "5 features" in capsys.readouterr().out
        assert {feature.feature: feature.breaks for feature in features()} == {
            "border-radius": ("outlook_windows",),
            "left": ("outlook_new", "outlook_web"),
            "right": ("outlook_new", "outlook_web"),
            "display:flex": ("gmail",),
            "<video>": ("gmail",),
        }
        assert "https://www.caniemail.com/features/x/" in features()[0].instead
        for nonsense in (
            '{"features": [{"nope": 1}]}',
            '{"features": [{"feature": 3, "breaks": []}]}',
            "[]",
            "{",
        ):
            file.write_text(nonsense)
            with pytest.raises(CommandError, match=r"data\.json"):
                call_command("import_client_support", str(file))
        assert len(features()) == 5
        call_command("import_client_support", "--remove")
        assert "5 features" not in capsys.readouterr().out
