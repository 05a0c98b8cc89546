"""Reports in the shapes that each system gives them, whole or broken, and what looks like one and is none."""

import base64
import quopri
from typing import Any

from mailops.protocol.feedback_mail import describe, read

COPY = (
    "Return-Path: <news@sender.example>\nReceived: from a.sender.example by b.example; Mon, 1 Jan 2026 00:00:00 +0000\n"
    "Message-ID: <m1@sender.example>\nFrom: News <news@sender.example>\nTo: user@rcpt.example\nSubject: Hello\n"
    "MIME-Version: 1.0\n\nHello\n"
)
HEADS = COPY.split("\n\n", maxsplit=1)[0] + "\n"
# name → type, recipients (None: any), mail, Message-ID (None: any)
CASES: dict[str, tuple[Any, ...]] = {}


def case(name, kind, recipients, data, message_id="<m1@sender.example>"):
    assert name not in CASES
    data = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
    CASES[name] = (kind, recipients, data, message_id)


def written(
    body,
    *,
    sender="MAILER-DAEMON@mx.example (Mail Delivery System)",
    subject="Undelivered Mail Returned to Sender",
    headers="",
    charset="utf-8",
    kind="plain",
    cte="8bit",
):
    """Return a report of one part, for people."""
    raw = body.encode(charset, "replace")
    if cte == "base64":
        raw = base64.encodebytes(raw)
    head = (
        f"From: {sender}\nTo: news@sender.example\nSubject: {subject}\n{headers}MIME-Version: 1.0\n"
        f"Content-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: {cte}\n\n"
    )
    return head.encode() + (quopri.encodestring(raw) if cte == "quoted-printable" else raw)


def report(
    told,
    status,
    returned=COPY,
    *,
    rtype="message/rfc822",
    stype="message/delivery-status",
    subject="Undelivered Mail Returned to Sender",
    sender="MAILER-DAEMON@mx.example",
    headers="",
    outer='multipart/report; report-type=delivery-status; boundary="b"',
    told_type="text/plain; charset=utf-8",
):
    """Return a report in parts; those that are None are left out."""
    parts = ((told_type, told), (stype, status), (rtype, returned))
    given = "".join(
        f"--b\nContent-Type: {kind}\n\n{part}\n" for kind, part in parts if part is not None
    )
    return (
        f"From: {sender}\nTo: news@sender.example\nSubject: {subject}\n{headers}MIME-Version: 1.0\n"
        f"Content-Type: {outer}\n\nThis is MIME.\n\n{given}--b--\n"
    )


U = "user@rcpt.example"


def one(reason, permanent=True, suppress=None, action="failed", rcpt=U):
    return [(rcpt, reason, action, permanent, suppress)]


def full():
    return one("mailbox_full", permanent=None, suppress=False)


UNKNOWN = one("unknown_mailbox", permanent=True, suppress=True)
MTA = "Reporting-MTA: dns; mx.example\n\n"
F = "Final-Recipient: rfc822; user@rcpt.example\n"

# fmt: off
# --- DSN field trouble
case("order reversed","bounce",UNKNOWN,report("x",MTA+"Diagnostic-Code: smtp; 550 5.1.1 User unknown\nStatus: 5.1.1\nAction: failed\n"+F))
case("case","bounce",UNKNOWN,report("x","REPORTING-MTA: DNS; mx\n\nFINAL-RECIPIENT: RFC822;user@rcpt.example\nACTION: FAILED\nSTATUS: 5.1.1\n"))
case("angle","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: rfc822; <user@rcpt.example>\nAction: failed\nStatus: 5.1.1\n"))
case("no type","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: user@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("quoted","bounce",UNKNOWN,report("x",MTA+'Final-Recipient: rfc822; "user@rcpt.example"\nAction: failed\nStatus: 5.1.1\n'))
case("comment","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: RFC822; user@rcpt.example (User Name)\nAction: failed\nStatus: 5.1.1 (bad destination)\n"))
case("name and angle","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: rfc822; User Name <user@rcpt.example>\nAction: failed\nStatus: 5.1.1\n"))
case("mailto","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: rfc822; mailto:user@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("failed with 4.x","bounce",one("unreachable",False,False),report("x",MTA+F+"Action: failed\nStatus: 4.4.1\nDiagnostic-Code: smtp; connect to mx: Connection timed out\n"))
case("failed with 4.4.7","bounce",one("gave_up",True,False),report("x",MTA+F+"Action: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp; 554 5.4.7 Message expired\n"))
case("delayed with 5.x and 550","bounce",UNKNOWN,report("Delivery failed permanently",MTA+F+"Action: delayed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n"))
case("delayed with 4","delay",one("unreachable",False,False,"delayed"),report("x",MTA+F+"Action: delayed\nStatus: 4.4.1\nDiagnostic-Code: smtp; connection timed out\nWill-Retry-Until: Mon, 1 Jan 2026 00:00:00 +0000\n",subject="Delayed Mail (still being retried)"))
case("status 5.0.0 text tells","bounce",full(),report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 mailbox is full\n"))
case("status contradicts","bounce",full(),report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 552 5.2.2 Over quota\n"))
case("status contradicts 2","bounce",one("blocklisted",True,False),report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 Your IP is listed in zen.spamhaus.org\n"))
case("status field 5.1.1 with relay","bounce",one("relaying_denied",True,False),report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 relay not permitted\n"))
case("folded","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach\n\t550-5.1.1 does not exist. Please try\n    550 5.1.1 double-checking - gsmtp\n"))
case("badly folded","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach\n550-5.1.1 does not exist. Please try\n550 5.1.1 double-checking - gsmtp\n"))
case("x-unix","bounce",full(),report("x",MTA+F+"Action: failed\nStatus: 5.2.2\nDiagnostic-Code: x-unix; maildir delivery failed: Disk quota exceeded\n"))
case("x-unix dead","bounce",one("server_fault",True,False),report("x",MTA+F+'Action: failed\nStatus: 5.3.0\nDiagnostic-Code: x-unix; Command died with status 1: "/usr/bin/procmail"\n'))
case("X-Postfix","bounce",UNKNOWN,report("x",MTA+F+'Action: failed\nStatus: 5.1.1\nDiagnostic-Code: X-Postfix; unknown user: "user"\n'))
case("X-Notes","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: X-Notes; User user (user@rcpt.example) not listed in Domino Directory\n"))
case("lmtp","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: lmtp; 550 5.1.1 <user@rcpt.example> User doesn't exist: user@rcpt.example\n"))
case("utf-8 address","bounce",one("unknown_mailbox",True,True,rcpt="жук@почта.example"),report("x",MTA+"Final-Recipient: utf-8; жук@почта.example\nAction: failed\nStatus: 5.1.1\n",stype="message/global-delivery-status"))
case("utf-8 escaped","bounce",one("unknown_mailbox",True,True,rcpt="жук@почта.example"),report("x",MTA+"Final-Recipient: utf-8; \\x{0436}\\x{0443}\\x{043a}@\\x{043F}\\x{043E}\\x{0447}\\x{0442}\\x{0430}.example\nAction: failed\nStatus: 5.1.1\n"))
case("xn-- both","bounce",UNKNOWN,report("x",MTA+"Original-Recipient: rfc822; user@rcpt.example\nFinal-Recipient: utf-8; user@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("x400","bounce",UNKNOWN,report("Your message to user@rcpt.example failed.",MTA+"Final-Recipient: X400; /C=US/A= /P=ORG/S=USER/G=A/\nOriginal-Recipient: rfc822; user@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("x400 only","bounce",UNKNOWN,report("Your message to user@rcpt.example failed.",MTA+"Final-Recipient: X400; /C=US/A= /P=ORG/S=USER/G=A/\nAction: failed\nStatus: 5.1.1\n"))
case("original only","bounce",UNKNOWN,report("x",MTA+"Original-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("x-actual","bounce",UNKNOWN,report("x",MTA+"Final-Recipient: RFC822; user@rcpt.example\nX-Actual-Recipient: RFC822; user@host.rcpt.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: SMTP; 550 5.1.1 User unknown\n"))
case("recipients differ","bounce",[(U,"unknown_mailbox","failed",True,True),("b@rcpt.example","mailbox_full","failed",True,False),("c@rcpt.example",None,"delivered",False,False),("d@rcpt.example","unreachable","delayed",False,False)],
 report("x",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n\nFinal-Recipient: rfc822; b@rcpt.example\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 over quota\n\nFinal-Recipient: rfc822;c@rcpt.example\nAction: delivered\nStatus: 2.1.5\n\nFinal-Recipient: rfc822;d@rcpt.example\nAction: delayed\nStatus: 4.4.1\n"))
case("no report type","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",outer='multipart/mixed; boundary="b"'))
case("attachment first","bounce",UNKNOWN,"From: MAILER-DAEMON@mx\nSubject: failure notice\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--o\n"+report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n").split("MIME-Version: 1.0\n")[1].replace("--o","--o")+"\n--o--\n")
case("status type octet","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",stype="application/octet-stream; name=details.txt"))
case("headers only part","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",HEADS,rtype="text/rfc822-headers"))
case("rfc822 base64","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",base64.encodebytes(COPY.encode()).decode(),rtype="message/rfc822\nContent-Transfer-Encoding: base64"))
case("no final boundary","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n").replace("--b--\n",""))
case("nul bytes","bounce",UNKNOWN,report("x\0",MTA+F+"Action: failed\nStatus: 5.1.1\0\n"))
case("crlf","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n").replace("\n","\r\n"))
case("cr only","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n").replace("\n","\r"))
case("leading From line","bounce",UNKNOWN,"From MAILER-DAEMON Mon Jan  1 00:00:00 2026\n"+report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n"))
case("mid in References","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",None,headers="References: <m1@sender.example>\n"))
case("mid in In-Reply-To","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",None,headers="In-Reply-To: <m1@sender.example>\n"))
case("X-Original-Message-ID in status","bounce",UNKNOWN,report("x","Reporting-MTA: dns; mx\nX-Original-Message-ID: <m1@sender.example>\n\n"+F+"Action: failed\nStatus: 5.1.1\n",None))
case("2.x but failed","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 2.0.0\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n"))
case("status missing diag tells","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nDiagnostic-Code: smtp; 550 No such user\n"))
case("relayed","delivered",[(U,None,"relayed",False,False)],report("x",MTA+F+"Action: relayed\nStatus: 2.1.9\n"))
case("expanded","delivered",[(U,None,"expanded",False,False)],report("x",MTA+F+"Action: expanded\nStatus: 2.2.2\n"))
case("delivered","delivered",[(U,None,"delivered",False,False)],report("x",MTA+F+"Action: delivered\nStatus: 2.0.0\nDiagnostic-Code: smtp; 250 2.0.0 Ok: queued as 12345\n",subject="Successful Mail Delivery Report"))
case("final-recipient typo","bounce",UNKNOWN,report("x","Reporting-MTA: dns; mx\n\nFinal-recipient: RFC822;user@rcpt.example\nAction : failed\nStatus : 5.1.1\n"))
case("diag only in remote","bounce",UNKNOWN,report("<user@rcpt.example>: host mx[1.2.3.4] said: 550 5.1.1 no such user (in reply to RCPT TO command)",MTA+F+"Action: failed\nStatus: 5.0.0\n"))
case("amavis","bounce",one("content_refused",True,False),report("Your message was considered SPAM",MTA+F+"Action: failed\nStatus: 5.7.0\nDiagnostic-Code: smtp; 554 5.7.0 Reject, id=12345-01 - spam\n",subject="Considered UNSOLICITED BULK EMAIL, apparently from you",sender='"Content-filter at mx.example" <postmaster@mx.example>'))
# --- Exchange
EXCHANGE_HTML="""<html><head><style>p{}</style></head><body><p>Delivery has failed to these recipients or groups:</p>
<p><a href="mailto:user@rcpt.example">user@rcpt.example</a><br>The email address you entered couldn't be found. Please check the recipient's email address and try to resend the message. If the problem continues, please contact your email admin.</p>
<p>Diagnostic information for administrators:</p><p>Generating server: AM0PR01.eurprd01.prod.exchangelabs.com</p><p>user@rcpt.example<br>Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'</p><p>Original message headers:</p><pre>Received: from a.sender.example by b.example; Mon, 1 Jan 2026
Message-ID: &lt;m1@sender.example&gt;
From: News &lt;news@sender.example&gt;
To: user@rcpt.example
Subject: Hello
</pre></body></html>"""
case("exchange html only","bounce",UNKNOWN,written(EXCHANGE_HTML,kind="html",sender="postmaster@rcpt.example",subject="Undeliverable: Hello",headers="Auto-Submitted: auto-replied\n"))
case("exchange html b64","bounce",UNKNOWN,written(EXCHANGE_HTML,kind="html",sender="postmaster@rcpt.example",subject="Undeliverable: Hello",cte="base64"))
case("exchange dsn with html told","bounce",UNKNOWN,report(EXCHANGE_HTML,"Reporting-MTA: dns;AM0PR01.example\nReceived-From-MTA: dns;a.example\n\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;550 5.1.1 RESOLVER.ADR.RecipNotFound; not found\nX-Display-Name: user\n",told_type="text/html; charset=utf-8",sender="postmaster@rcpt.example",subject="Undeliverable: Hello"))

def person(body, subject, headers="", **rest):
    return written(body, sender="User <user@rcpt.example>", subject=subject, headers=headers, **rest)

ANSWERS="In-Reply-To: <m1@sender.example>\nReferences: <m1@sender.example>\n"
# auto replies
for name,subject,body,headers in [
 ("de abw","Abwesenheitsnotiz: Hello","Vielen Dank für Ihre Nachricht. Ich bin bis zum 5. Mai nicht im Büro. Ihre E-Mail wird nicht weitergeleitet.",""),
 ("de auto","Automatische Antwort: Hello","Ich bin im Urlaub.",""),
 ("fr","Réponse automatique : Hello","Je suis absent jusqu'au 5 mai.",""),
 ("fr2","Absence du bureau","Je suis en congé",""),
 ("es","Respuesta automática: Hello","Estoy fuera de la oficina",""),
 ("it","Risposta automatica: Hello","Sono fuori ufficio",""),
 ("pt","Resposta automática: Hello","Estou de férias",""),
 ("nl","Automatisch antwoord: Hello","Ik ben afwezig",""),
 ("pl","Odpowiedź automatyczna: Hello","Jestem na urlopie",""),
 ("sv","Automatiskt svar: Hello","Jag är på semester",""),
 ("sv2","Frånvaro","Jag är borta",""),
 ("fi","Automaattinen vastaus: Hello","Olen lomalla",""),
 ("da","Automatisk svar: Hello","Jeg er på ferie",""),
 ("cs","Automatická odpověď: Hello","Jsem na dovolené",""),
 ("hu","Automatikus válasz: Hello","Szabadságon vagyok",""),
 ("ro","Răspuns automat: Hello","Sunt în concediu",""),
 ("tr","Otomatik Yanıt: Hello","Ofis dışındayım",""),
 ("ru","Автоматический ответ: Hello","Я в отпуске",""),
 ("ru2","Автоответ: Hello","Спасибо за письмо",""),
 ("uk","Автоматична відповідь: Hello","Я у відпустці",""),
 ("el","Αυτόματη απάντηση: Hello","Λείπω",""),
 ("ja","自動応答: Hello","不在です",""),
 ("ja2","自動返信：お問い合わせありがとうございます","不在です",""),
 ("zh","自动回复: Hello","我不在办公室",""),
 ("zh-tw","自動回覆: Hello","我不在辦公室",""),
 ("ko","자동 회신: Hello","휴가 중입니다",""),
 ("ar","رد تلقائي: Hello","أنا خارج المكتب",""),
 ("he","תשובה אוטומטית: Hello","אני לא במשרד",""),
 ("vi","Trả lời tự động: Hello","Tôi đang nghỉ phép",""),
 ("th","ตอบกลับอัตโนมัติ: Hello","ลาพักร้อน",""),
 ("id","Balasan otomatis: Hello","Saya sedang cuti",""),
 ("ooo","Out of Office AutoReply: Hello","I am out of the office until Monday.",""),
 ("ooo re","Re: Hello","I am out of the office until Monday, with limited access to email.","X-Auto-Response-Suppress: All\n"),
 ("autosub","Re: Hello","Thanks for your mail","Auto-Submitted: auto-replied\n"),
 ("vacation","away from my mail","I will not be reading my mail for a while.","Precedence: junk\nX-Autoreply: yes\n"),
 ("prec bulk vacation","Re: Hello","I am on vacation until June 1.","Precedence: bulk\nAuto-Submitted: auto-replied (vacation)\n"),
 ("xloop","Auto: Hello","Got your message","X-Loop: user@rcpt.example\nX-Autorespond: Hello\n"),
 ("ticket","[Ticket#12345] Hello","We have received your request. Your ticket number is 12345.","Auto-Submitted: auto-replied\nPrecedence: bulk\n"),
 ("left company","Automatic reply: Hello","John no longer works here. The mailbox is not monitored; your message could not be delivered.",""),
 ("left company2","No longer with the company Re: Hello","Jane Doe is no longer with Example Ltd. Please update your records: this email address no longer exists.","Auto-Submitted: auto-replied\n"),
 ("null return path vac","Re: Hello","I'm currently away. I'll be back on Monday.","Return-Path: <>\n"),
]:
    case(f"auto {name}","auto-reply",[],person(body,subject,headers+ANSWERS))
# challenge
case("tmda","auto-reply",[],person("This message was created automatically by mail delivery software (TMDA).\n\nYour message attached below is being held because the address\n<news@sender.example> has not been verified.\n\nTo release your message for delivery, please send an empty message\nto the following address, or use your mailer's \"Reply\" feature.\n\n   user-confirm-1.2.3@rcpt.example\n","Please confirm your message","Auto-Submitted: auto-replied\n"),"")
case("spamarrest","auto-reply",[],person("I'm protecting myself from receiving junk mail.\n\nJust this once, click the link below so I can receive your emails.\nYou won't have to do this again.\n\nhttp://www.spamarrest.example/a2?AQ:1\n","Re: Hello (verification required)"),"")
# delay
case("postfix delay text only","delay",one(None,None,False,"delayed"),written("This is the mail system at host mx.example.\n\n####################################################################\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n####################################################################\n\nYour message could not be delivered for more than 4 hour(s).\nIt will be retried until it is 5 day(s) old.\n\n<user@rcpt.example>: connect to mx.rcpt.example[192.0.2.1]:25: Connection timed out\n\n"+COPY,subject="Delayed Mail (still being retried)"))
case("exchange delay","delay",one(None,None,False,"delayed"),written("Delivery to these recipients or groups has been delayed:\n\nuser@rcpt.example\n\nThis message hasn't been delivered yet. Delivery will continue to be attempted.\n\nThe server will keep trying to deliver this message for the next 1 days, 19 hours and 56 minutes.\n",subject="Delivery delayed: Hello",sender="Microsoft Outlook <postmaster@rcpt.example>"),"")
case("gmail delay html","delay",one(None,None,False,"delayed"),written("<h2>Delivery incomplete</h2><p>There was a temporary problem delivering your message to <b>user@rcpt.example</b>. Gmail will retry for 46 more hours. You'll be notified if the delivery fails permanently.</p><p>The response was:</p><p>The recipient server did not accept our requests to connect.</p>",kind="html",subject="Delivery Status Notification (Delay)",sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",headers="X-Failed-Recipients: user@rcpt.example\n"),"")
case("exim delay de","delay",one(None,None,False,"delayed"),written("Eine Nachricht, die Sie gesendet haben, konnte noch nicht zugestellt werden. Die Zustellung wird weiterhin versucht.\n\n  user@rcpt.example\n    Verzögerungsgrund: Verbindung abgelehnt\n",subject="Warnung: Nachricht verzögert"),"")
# Gmail bounce html
GMAIL_HTML="""<html><body><table><tr><td><h2>Address not found</h2>Your message wasn't delivered to <b>user@rcpt.example</b> because the address couldn't be found, or is unable to receive mail.</td></tr></table><p>LEARN MORE</p><p>The response from the remote server was:</p><p style="font-family:monospace">550 5.1.1 &lt;user@rcpt.example&gt;: Recipient address rejected: User unknown</p></body></html>"""
case("gmail html dsn","bounce",UNKNOWN,report(GMAIL_HTML,"Reporting-MTA: dns; googlemail.com\nReceived-From-MTA: dns; news@sender.example\nArrival-Date: Mon, 01 Jan 2026 00:00:00 -0800 (PST)\nX-Original-Message-ID: <m1@sender.example>\n\nFinal-Recipient: rfc822; user@rcpt.example\nAction: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.rcpt.example. (192.0.2.1, the server for the domain rcpt.example.)\nDiagnostic-Code: smtp; 550 5.1.1 <user@rcpt.example>: Recipient address rejected: User unknown\nLast-Attempt-Date: Mon, 01 Jan 2026 00:00:00 -0800 (PST)\n",told_type="text/html; charset=utf-8",headers="X-Failed-Recipients: user@rcpt.example\n"))
case("gmail html alone","bounce",UNKNOWN,written(GMAIL_HTML,kind="html",subject="Delivery Status Notification (Failure)",headers="X-Failed-Recipients: user@rcpt.example\nIn-Reply-To: <m1@sender.example>\nReferences: <m1@sender.example>\n"))
case("gmail dns","bounce",one("unknown_domain",None,None),report("Address not found\n\nYour message wasn't delivered to user@rcpt.example because the domain rcpt.example couldn't be found.","Reporting-MTA: dns; googlemail.com\n\n"+F+"Action: failed\nStatus: 4.0.0\nDiagnostic-Code: smtp; DNS Error: DNS type 'mx' lookup of rcpt.example responded with code NXDOMAIN\n Domain name not found: rcpt.example\n"))
# replies with quoted bounce: other
case("person quoting a bounce","other",[],person("Hi,\n\nI got this back when I wrote you, what is it?\n\n> This is the mail system at host mx.example.\n> <foo@bar.example>: host mx said: 550 5.1.1 User unknown\n\nThanks\nUser","Re: Undelivered Mail Returned to Sender",ANSWERS))
case("person asks about","other",[],person("Your last mail said my mailbox is full. Delivery failed? It works again now.","Mail delivery failed?",ANSWERS))
case("person forward inline","other",[],person("FYI\n\n---------- Forwarded message ---------\nFrom: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nSubject: Delivery Status Notification (Failure)\nTo: <user@rcpt.example>\n\nAddress not found\nYour message wasn't delivered to foo@bar.example because the address couldn't be found\n","Fwd: Delivery Status Notification (Failure)",ANSWERS))
case("newsletter about bounces","other",[],written("Today we explain bounces: 550 5.1.1 user unknown means that the mailbox does not exist. Delivery failed messages are common.",sender="Blog <blog@news.example>",subject="How to read delivery failure messages"),"")
case("order confirmation","other",[],written("Your parcel could not be delivered. We'll try again tomorrow.",sender="Parcel <noreply@post.example>",subject="Your parcel: delivery failed"),"")
case("person re","other",[],person("Thanks, that is great!","Re: Hello",ANSWERS))
# mailing list
case("moderated list","auto-reply",[],written("Your mail to 'List' with the subject\n\n    Hello\n\nIs being held until the list moderator can review it for approval.\n\nThe reason it is being held:\n\n    Post by non-member to a members-only list\n\nEither the message will get posted to the list, or you will receive\nnotification of the moderator's decision.\n",sender="list-bounces@lists.example",subject="Your message to List awaits moderator approval",headers="Precedence: bulk\nX-List-Administrivia: yes\nX-BeenThere: list@lists.example\n"),"")
# receipts
MDN="Reporting-UA: x\nFinal-Recipient: rfc822;user@rcpt.example\nOriginal-Message-ID: <m1@sender.example>\nDisposition: manual-action/MDN-sent-manually; {}\n"
case("mdn automatic deleted","delivered",None,report("Your message was deleted without being read",MDN.replace("manual-action/MDN-sent-manually","automatic-action/MDN-sent-automatically").format("deleted"),stype="message/disposition-notification",subject="Not read: Hello",sender=U,returned=None))
# FBL
def fbl(fields,returned=COPY,*,told="This is an abuse report",outer='multipart/report; report-type=feedback-report; boundary="b"',stype="message/feedback-report",subject="FW: Hello",sender="feedback@isp.example",rtype="message/rfc822",headers=""):
    return report(told,fields,returned,outer=outer,stype=stype,subject=subject,sender=sender,rtype=rtype,headers=headers)
COMPLAINT=[(U,"complaint","complaint",True,True)]
case("arf","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 0.1\nOriginal-Rcpt-To: user@rcpt.example\n"))
case("arf yahoo","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nUser-Agent: Yahoo!-Mail-Feedback/2.0\nVersion: 0.1\nOriginal-Mail-From: <news@sender.example>\nOriginal-Rcpt-To: user@rcpt.example\nReceived-Date: Mon, 1 Jan 2026 00:00:00 PST\nReported-Domain: sender.example\nAuthentication-Results: x\n"))
case("arf aol redacted","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nUser-Agent: AOL SComp\nVersion: 0.1\nReceived-Date: Mon\nSource-IP: 192.0.2.1\nReported-Domain: d\nRedacted-Address: redacted\nRedacted-Address: redacted@\n",COPY))
case("arf aol redacted rcpt","complaint",None,fbl("Feedback-Type: abuse\nUser-Agent: AOL SComp\nVersion: 0.1\nOriginal-Rcpt-To: [redacted]\n",COPY.replace("To: user@rcpt.example","To: [redacted]@aol.com")))
case("arf in mixed","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nOriginal-Rcpt-To: rfc822;user@rcpt.example\n",outer='multipart/mixed; boundary="b"'))
case("arf text/plain part","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nOriginal-Rcpt-To: user@rcpt.example\n",stype="text/plain",outer='multipart/mixed; boundary="b"'))
case("jmrp","complaint",[("ann@hotmail.com","complaint","complaint",True,True)],report(None,None,"X-HmXmrOriginalRecipient: ann@hotmail.com\n"+COPY,outer='multipart/mixed; boundary="b"',subject="complaint about message from 192.0.2.1",sender="staff@hotmail.com"))
case("jmrp no x","complaint",COMPLAINT,report(None,None,COPY,outer='multipart/mixed; boundary="b"',subject="complaint about message from 192.0.2.1",sender="staff@hotmail.com"))
case("jmrp flat","complaint",[("ann@hotmail.com","complaint","complaint",True,True)],"X-HmXmrOriginalRecipient: ann@hotmail.com\n"+COPY.replace("Subject: Hello","Subject: complaint about message from 192.0.2.1"),None)
case("arf opt-out","complaint",COMPLAINT,fbl("Feedback-Type: opt-out\nOriginal-Rcpt-To: user@rcpt.example\n"))
case("arf not spam","other",[],fbl("Feedback-Type: not-spam\nOriginal-Rcpt-To: user@rcpt.example\n"),None)
case("arf dmarc failure","other",[],fbl("Feedback-Type: auth-failure\nAuth-Failure: dmarc\nOriginal-Rcpt-To: user@rcpt.example\n"),None)
case("arf headers","complaint",COMPLAINT,fbl("Feedback-Type: abuse\nOriginal-Rcpt-To: user@rcpt.example\n",HEADS,rtype="text/rfc822-headers"))
case("arf upper","complaint",COMPLAINT,fbl("FEEDBACK-TYPE: ABUSE\nORIGINAL-RCPT-TO: <user@rcpt.example>\n"))
# unsubscribe
case("unsub","unsubscribe",[(U,"unsubscribe","unsubscribe",True,True)],person("","unsubscribe"),"")
case("unsub2","unsubscribe",[(U,"unsubscribe","unsubscribe",True,True)],person("Please unsubscribe me from this list.\n\nThanks","Re: Hello",ANSWERS))
case("unsub3","unsubscribe",[(U,"unsubscribe","unsubscribe",True,True)],person("Remove me","remove"),"")
case("unsub4 es","unsubscribe",[(U,"unsubscribe","unsubscribe",True,True)],person("Quiero darme de baja","Baja"),"")
case("not unsub","other",[],person("How can I unsubscribe from the blue newsletter but keep the red one? I like it.","Question about newsletters"),"")
# odd shapes
case("empty","other",[],b"","")
case("only headers","other",[],b"From: a@b.example\nSubject: x\n\n","")
case("bounce with empty body","bounce",None,written("",subject="Undelivered Mail Returned to Sender",headers="X-Failed-Recipients: user@rcpt.example\n"),"")
case("only nul","other",[],b"\0"*1000,"")
case("xfailed several","bounce",[("a@x.example",None,"failed",None,None),("b@x.example",None,"failed",None,None)],written("A message that you sent could not be delivered to one or more of its recipients. This is a permanent error. The following address(es) failed:\n\n  a@x.example\n    mailbox is full\n  b@x.example\n    SMTP error from remote mail server after RCPT TO:<b@x.example>:\n    host mx.x.example [192.0.2.1]: 550 unknown user\n\n------ This is a copy of the message, including all the headers. ------\n\n"+COPY,headers="X-Failed-Recipients: a@x.example,\n  b@x.example\n",subject="Mail delivery failed: returning message to sender"))
case("deep nested","bounce",UNKNOWN,"From: MAILER-DAEMON@mx\nSubject: failure\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=p\n\n--p\n"+"Content-Type: text/plain\n\nYour message failed\n--p\n"+report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n").split("MIME-Version: 1.0\n")[1]+"\n--p--\n--o--\n")
case("forwarded attached","bounce",UNKNOWN,"From: boss@sender.example\nSubject: Fwd: look\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n\nlook\n--o\nContent-Type: message/rfc822\n\n"+report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n")+"\n--o--\n")
case("returned msg is a reply w/ quoted dsn","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",COPY+"\n> Final-Recipient: rfc822; other@y.example\n> Action: failed\n"))
case("megabytes","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n",COPY+"A"*76+"\n")+"x"*3_000_000)
case("base64 text part","bounce",UNKNOWN,report(base64.encodebytes(b"failed").decode(),base64.encodebytes((MTA+F+"Action: failed\nStatus: 5.1.1\n").encode()).decode(),told_type="text/plain\nContent-Transfer-Encoding: base64",stype="message/delivery-status\nContent-Transfer-Encoding: base64"))
case("qp status","bounce",UNKNOWN,report("x","Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822;=20user=40rcpt.example\nAction: failed\nStatus: 5.1.1\n",stype="message/delivery-status\nContent-Transfer-Encoding: quoted-printable"))
case("utf16 text","bounce",None,written("<user@rcpt.example>: user unknown",charset="utf-16",cte="base64"),"")
# servers
case("zoho","bounce",UNKNOWN,written("This message was created automatically by mail delivery software.\n A message that you sent could not be delivered to one or more of its recipients. This is a permanent error. \n\nuser@rcpt.example Error Code : 550 , 5.1.1 User unknown ,Status: 5.1.1\n",subject="Undelivered Mail Returned to Sender",sender="mailer-daemon@mail.zoho.com"),"")
case("yandex","bounce",UNKNOWN,written("This is the mail system at host forward.mail.yandex.net.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients. It's attached below.\n\nPlease, do not reply to this message.\n\n<user@rcpt.example>: host mx.rcpt.example[192.0.2.1] said: 550 5.1.1 <user@rcpt.example> User doesn't exist (in reply to RCPT TO command)\n\n"+COPY))
case("mailru","bounce",one("mailbox_full",None,False),written("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its recipients.\nThis is a permanent error. The following address(es) failed:\n\n  user@rcpt.example\n    SMTP error from remote mail server after end of data:\n    host mx [192.0.2.1]: 552 5.2.2 Mailbox full\n\n"+COPY,headers="X-Failed-Recipients: user@rcpt.example\n"))
case("qq html zh","bounce",UNKNOWN,written("<p>抱歉，您的邮件被退回来了……</p><p>原邮件信息：</p><p>时间 2026-1-1</p><p>主题 Hello</p><p>收件人 user@rcpt.example</p><p>退信原因：收件人邮件地址（user@rcpt.example）不存在，邮件无法送达。<br>host mx.rcpt.example[192.0.2.1] said: 550 5.1.1 User unknown</p>",kind="html",sender="PostMaster@qq.com",subject="来自qq.com的退信",charset="gb18030"),"")
case("163 zh","bounce",one("mailbox_full",None,False),written("您的邮件未能送达以下收件人：\n\nuser@rcpt.example\n\n失败原因：对方邮箱已满 552 5.2.2 mailbox full\n",sender="Postmaster@163.com",subject="系统退信/Systems bounce",charset="gbk"),"")
case("docomo","bounce",UNKNOWN,written("次のあて先へのメッセージはエラーのため送信できませんでした。\n送信先メールアドレスが見つからないか、\n送信先メールサーバの事由により送信できませんでした。\nメールアドレスをご確認の上、再送信してください。\n\n<user@rcpt.example>: 550 Unknown user user@rcpt.example\n",subject="Returned mail: User unknown",charset="iso-2022-jp",sender="MAILER-DAEMON@docomo.ne.jp"),"")
case("mimecast","bounce",one("unknown_mailbox",True,True),written("<p>Your message to user@rcpt.example could not be delivered.</p><p>Reason: 550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550</p>",kind="html",subject="[Postmaster] Email Delivery Failure",sender="postmaster@rcpt.example"),"")
case("ironport","bounce",UNKNOWN,report("The following message to <user@rcpt.example> was undeliverable.\nThe reason for the problem:\n5.1.0 - Unknown address error 550-'5.1.1 <user@rcpt.example>: User unknown'\n","Reporting-MTA: dns; iron.example\n\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.0.0 (permanent failure)\nRemote-MTA: dns; [192.0.2.1]\nDiagnostic-Code: smtp; 5.1.0 - Unknown address error 550-'5.1.1 <user@rcpt.example>: User unknown' (delivery attempts: 0)\n"))
case("postmark-like","bounce",UNKNOWN,report("x","Reporting-MTA: dns; x\n\n"+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;550 5.1.1 The email account that you tried to reach does not exist.\nX-PowerMTA-Virtual-MTA: x\nX-PowerMTA-BounceCategory: bad-mailbox\n"))
case("ses","bounce",UNKNOWN,report("An error occurred while trying to deliver the mail to the following recipients:\nuser@rcpt.example\n","Reporting-MTA: dns; a8-1.smtp-out.amazonses.com\n\nAction: failed\nFinal-Recipient: rfc822; user@rcpt.example\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\nStatus: 5.1.1\n",subject="Delivery Status Notification (Failure)",sender="MAILER-DAEMON@amazonses.com"))
case("groupwise","bounce",UNKNOWN,written("The message that you sent was undeliverable to the following:\n\n\tuser@rcpt.example (550 5.1.1 <user@rcpt.example> User unknown)\n",subject="Message status - undeliverable",sender="postmaster@rcpt.example"),"")
case("groupwise2","bounce",one("mailbox_full",None,False),written("The message that you sent was undeliverable to the following:\n\tuser@rcpt.example (mailbox full)\n\nPossibly truncated original message follows:\n\n"+COPY,subject="Message status - undeliverable",sender="postmaster@rcpt.example"))
case("mailenable","bounce",UNKNOWN,written("The following recipient(s) could not be reached:\n\n    Recipient: [SMTP:user@rcpt.example]\n    Reason: 550 Requested action not taken: mailbox unavailable or not local\n\nMessage headers follow:\n\n"+HEADS,subject="Message Delivery Failure",sender="POSTMASTER@mx.example"))
case("hmail","bounce",UNKNOWN,written("Your message did not reach some or all of the intended recipients.\n\n   Sent: Mon, 1 Jan 2026 00:00:00 +0000\n   Subject: Hello\n\nThe following recipient(s) could not be reached:\n\nuser@rcpt.example\n   Error Type: SMTP\n   Remote server (192.0.2.1) issued an error.\n   hMailServer sent: RCPT TO:<user@rcpt.example>\n   Remote server replied: 550 5.1.1 unknown user\n\n\nhMailServer\n",subject="Message undeliverable: Hello",sender="mailer-daemon@mx.example"),"")
case("james","bounce",UNKNOWN,written("Hi. This is the James mail server at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.  Below\nI include the list of recipients and the reason why I was unable to deliver\nyour message.\n\nFailed recipient(s):\nuser@rcpt.example\n\nError message:\n550 5.1.1 no such user\n\n",subject="Re:Hello",sender="postmaster@mx.example"),"")
case("haraka","bounce",UNKNOWN,written("This is the Haraka SMTP server program at host mx.example.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients. It's attached below.\n\nFor further assistance, please send mail to <postmaster@mx.example>\n\nIntended Recipients: <user@rcpt.example>\nFailure Reason: Some recipients failed: <user@rcpt.example> 550 5.1.1 user unknown\n\n"+COPY,subject="failure notice",sender="MAILER-DAEMON@mx.example"))
case("stalwart","bounce",UNKNOWN,report("Your message could not be delivered to the following recipients:\n\n<user@rcpt.example> (host 'mx.rcpt.example' rejected command 'RCPT TO:<user@rcpt.example>' with code 550 (5.1.1) 'User unknown')\n","Reporting-MTA: dns;mx.example\nArrival-Date: Mon, 1 Jan 2026 00:00:00 +0000\n\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;550 User unknown\nRemote-MTA: dns;mx.rcpt.example\n",subject="Failed to deliver message",sender='"Mail Delivery Subsystem" <MAILER-DAEMON@mx.example>'))
case("surgemail","bounce",UNKNOWN,written("Your message cannot be delivered to the following recipients:\n\nuser@rcpt.example\n    550 5.1.1 User not found - surgemail\n\n",subject="Undeliverable message",sender="postmaster@mx.example"),"")
case("kerio","bounce",UNKNOWN,written("This message was generated by Kerio Connect.\n\nYour message could not be delivered to the following recipients:\n\n<user@rcpt.example>; failed; 5.1.1 (bad destination mailbox address)\n    Remote MTA: mx.rcpt.example [192.0.2.1]\n    Diagnostic code: smtp;550 5.1.1 Mailbox <user@rcpt.example> does not exist\n",subject="Delivery failed: Hello",sender="Mail Delivery Subsystem <postmaster@mx.example>"),"")
case("interscan","bounce",UNKNOWN,written("Delivery failed for the following recipient(s):\n  user@rcpt.example: 550 5.1.1 User unknown\n",subject="Mail delivery failed",sender="InterScan MSS <mailer-daemon@mx.example>"),"")
case("messagelabs","bounce",UNKNOWN,written("This is the mail delivery agent at messagelabs.com.\nI was unable to deliver your message to the following addresses:\n\nuser@rcpt.example\n\nReason: 550 5.1.1 User unknown\n\nThe message subject was: Hello\nThe message date was: Mon\nThe message identifier was: <m1@sender.example>\nThe message reference was: server-1.tower-1\n",subject="Mail Delivery Failure",sender="MAILER-DAEMON@messagelabs.com"))
case("x400 gw","bounce",UNKNOWN,written("Your message was not delivered to\n   user@rcpt.example\nfor the following reason:\nDiagnostic was Unable to transfer, Message contained unrecognized recipient\nInformation The recipient name is not recognized\n\nThe Original Message follows:\n",subject="Undeliverable mail",sender="Postmaster@gw.example"),"")
case("lotus de","bounce",UNKNOWN,written("Ihre Nachricht\n\n  Betreff: Hello\n\nkonnte nicht zugestellt werden an:\n\n  user@rcpt.example\n\nGrund:\n\n  User user (user@rcpt.example) not listed in Domino Directory\n",subject="ZUSTELLUNGSFEHLER: User user (user@rcpt.example) not listed in Domino Directory",sender="Postmaster@rcpt.example"),"")
case("att","bounce",one("blocklisted",True,False),written("This is an automatically generated Delivery Status Notification.\n\nDelivery to the following recipients failed.\n\n       user@rcpt.example\n\n553 5.3.0 flpd575 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked.For assistance forward this error to abuse_rbl@abuse-att.net\n",subject="Delivery Status Notification (Failure)",sender="postmaster@mx.example"),"")
case("iis smtp","bounce",UNKNOWN,report("This is an automatically generated Delivery Status Notification.\n\nDelivery to the following recipients failed.\n\n       user@rcpt.example\n\n","Reporting-MTA: dns;mx.example\nReceived-From-MTA: dns;a.example\nArrival-Date: Mon\n\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;550 user unknown\n",sender="postmaster@mx.example"))
case("de gmx text","bounce",UNKNOWN,written("Diese Nachricht wurde automatisch vom E-Mail System erstellt.\n\nEine Nachricht, die Sie versendet haben, konnte an einen oder mehrere Empfänger nicht zugestellt werden. Die folgende Adresse ist fehlgeschlagen:\n\nuser@rcpt.example:\nSMTP-Fehler vom Remote Server nach RCPT TO-Kommando, Host: mx.rcpt.example Grund: 550 5.1.1 User unknown\n\n",subject="Mail delivery failed: returning message to sender",sender="GMX Mailer Daemon <mailer-daemon@gmx.de>"),"")
case("gmx en","bounce",UNKNOWN,written("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to\none or more of its recipients. This is a permanent error.\n\nThe following address failed:\n\nuser@rcpt.example:\nSMTP error from remote server for RCPT TO command, host: mx.rcpt.example (192.0.2.1) reason: 550 5.1.1 user unknown\n\n\n--- The header of the original message is following. ---\n\n"+HEADS,subject="Mail delivery failed: returning message to sender",sender="mailer-daemon@kundenserver.de"))
case("aol","bounce",UNKNOWN,written("Your mail is not deliverable to the following recipient(s).\n\n** Mail Delivery Subsystem **\n\n   ----- The following addresses had permanent fatal errors -----\n<user@rcpt.example>\n\n   ----- Transcript of session follows -----\n... while talking to air-xn02.mail.aol.com.:\n>>> RCPT To:<user@rcpt.example>\n<<< 550 MAILBOX NOT FOUND\n550 <user@rcpt.example>... User unknown\n",subject="Returned mail: User unknown"),"")

case("mailmarshal","bounce",UNKNOWN,written("Your message:\n   From:    news@sender.example\n   Subject: Hello\n\nCould not be delivered because of\n\n550 5.1.1 User unknown\n\nThe following recipients were affected: \n    user@rcpt.example\n\nAdditional Information\n======================\nOriginal Sender:    <news@sender.example>\nSender-MTA:         <192.0.2.1>\nRemote-MTA:         <192.0.2.2>\nReporting-MTA:      <relay.xxxxxxxxxxxx.com>\nMessageName:        <B549996730000.000000000001.0003.mml>\nLast-Attempt-Date:  <16:21:07 seg, 22 Dezembro 2014>\n",subject='Undeliverable Mail: "Hello"',sender="MailMarshal <postmaster@mx.example>"),"")
case("mcafee","bounce",UNKNOWN,written("This is an automated message generated by the McAfee gateway. A message you sent was undeliverable.\n\n--- The following addresses had delivery problems ---\n\n<user@rcpt.example>   (User unknown user@rcpt.example)\n\n",subject="Delivery Status",sender="Admin Daemon <postmaster@mx.example>"),"")
case("sun ims","bounce",UNKNOWN,written("This report relates to a message you sent with the following header fields:\n\n  Message-id: <m1@sender.example>\n  Date: Mon, 01 Jan 2026 00:00:00 +0000\n  From: news@sender.example\n  To: user@rcpt.example\n  Subject: Hello\n\nYour message cannot be delivered to the following recipients:\n\n  Recipient address: user@rcpt.example\n  Reason: Remote SMTP server has rejected address\n  Diagnostic code: smtp;550 5.1.1 <user@rcpt.example>... User Unknown\n  Remote system: dns;mx.rcpt.example (TCP|192.0.2.1|25) (mx.rcpt.example ESMTP)\n",subject="Delivery Notification: Delivery has failed",sender="Internet Mail Delivery <postmaster@mx.example>"))
case("mfilter","bounce",UNKNOWN,written("メールの配信に失敗しました。\n\n-------server message\nY/rcpt\n550 5.1.1 <user@rcpt.example>... User Unknown\n\n-------original mail info\n"+HEADS,subject="failure notice",sender="mfilter <postmaster@mx.example>",charset="iso-2022-jp"))
case("mxlogic","bounce",UNKNOWN,written("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its recipients.\nThis is a permanent error. The following address(es) failed:\n\n <user@rcpt.example>: unknown user\n\nIncluded is a copy of the message header:\n-----------------------------------------\n"+HEADS,subject="Mail delivery failed: returning message to sender",sender="Mail Delivery System <mailer-daemon@mxlogic.net>"))
case("surfcontrol","bounce",UNKNOWN,written("Your message could not be sent.\nA transcript of the attempts to send the message follows.\nThe number of attempts made: 1\nAddressed To: user@rcpt.example\n\nThu 29 Apr 2010 23:34:45 +0900\nFailed to send to identified host, \nuser@rcpt.example: [192.0.2.1], 550 user@rcpt.example... No such user\n--- Message non-deliverable.\n",subject="Mail delivery failed",sender="Mail Delivery <postmaster@mx.example>"),"")
case("x2","bounce",UNKNOWN,written("Unable to deliver message to the following address(es).\n\n<user@rcpt.example>:\nThis user doesn't have an account\n\n--- Original message follows.\n\n"+COPY,subject="Delivery failure",sender="MAILER-DAEMON@mx.example"))
case("x3","bounce",UNKNOWN,written("============================================================================\n                      YOUR MESSAGE COULD NOT BE DELIVERED\n============================================================================\n\nUnable to deliver message to the following recipient(s):\n\n    * user@rcpt.example\n      SMTP:RCPT host 192.0.2.1: 550 5.1.1 No such user\n\n",subject="Delivery status notification",sender="Mail Delivery System <postmaster@mx.example>"),"")
case("1und1","bounce",one("too_big",True,False),written("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to\none or more of its recipients. This is a permanent error.\n\nThe following address failed:\n\nuser@rcpt.example:\n\nMail size limit exceeded. For explanation visit\nhttp://postmaster.1and1.com/en/error-messages?ip=192.0.2.1\n\n--- The header of the original message is following. ---\n\n"+HEADS,subject="Mail delivery failed: returning message to sender"))
case("googlegroups","bounce",one("recipient_refuses",None,False,rcpt="grp@googlegroups.example"),written("Hello news@sender.example,\n\nWe're writing to let you know that the group you tried to contact (grp) may not exist, or you may not have permission to post messages to the group. A few more details on why you weren't able to post:\n\n * You might have spelled or formatted the group name incorrectly.\n * The owner of the group may have removed this group.\n * You may need to join the group before receiving permission to post.\n * This group may not be open to posting.\n\nIf you have questions related to this or any other Google Group, visit the Help Center at https://support.google.com/a/rcpt/bin/topic.py?topic=25838.\n\n----- Original message -----\n\n"+COPY,subject="Delivery Status Notification (Failure)",sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",headers="X-Failed-Recipients: grp@googlegroups.example\n"))
case("activehunter","bounce",UNKNOWN,written("  ----- The following addresses had permanent fatal errors -----\n\n>>> user@rcpt.example <user@rcpt.example>\n\n  ----- Transcript of session follows -----\n550 sorry, no mailbox here by that name (#5.1.1 - chkusr)\n\n  ----- Original message follows -----\n\n"+COPY,subject="FAILURE NOTICE :",sender='"MAILER-DAEMON" <MAILER-DAEMON@mx.example>'))
case("zoho2","bounce",UNKNOWN,written("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its recipients. This is a permanent error.\n\nuser@rcpt.example  Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 User unknown\n\nReceived:from a.sender.example by mx\n",subject="Undelivered Mail Returned to Sender",sender="mailer-daemon@mail.zoho.com"),"")
case("v5sendmail","bounce",UNKNOWN,written("   ----- Transcript of session follows -----\n... while talking to mx.rcpt.example:\n>>> RCPT To:<user@rcpt.example>\n<<< 550 5.1.1 <user@rcpt.example>... User unknown\n550 <user@rcpt.example>... User unknown\n\n   ----- Unsent message follows -----\n"+COPY,subject="Returned mail: User unknown",sender="MAILER-DAEMON (Mail Delivery Subsystem)"))
case("smail","bounce",one("unknown_domain",None,None),written("|------------------------- Message log follows: -------------------------|\n no valid recipients were found for this message\n|------------------------- Failed addresses follow: ---------------------|\n <user@rcpt.example> ... unknown host\n|------------------------- Message text follows: ------------------------|\n"+COPY,subject="mail failed, returning to sender",sender="<MAILER-DAEMON@mx.example>"))
case("netscape","bounce",UNKNOWN,written("This Message was undeliverable due to the following reason:\n\nEach of the following recipients was rejected by a remote mail server.\nThe reasons given by the server are included to help you determine why\neach recipient was rejected.\n\n    Recipient: <user@rcpt.example>\n    Reason:    <user@rcpt.example>... User unknown\n\n\nPlease reply to <postmaster@mx.example>\nif you feel this message to be in error.\n",subject="Returned mail: User unknown",sender="postmaster@mx.example"),"")
case("compuserve","bounce",UNKNOWN,written("Your message could not be delivered for the following reason:\n\nInvalid receiver address: user@rcpt.example\n\n--- Returned Message ---\n\n"+COPY,subject="Undeliverable message",sender="<postmaster@compuserve.com>"))
case("smtp32","bounce",UNKNOWN,written("Unknown user: user@rcpt.example\n\n\nOriginal message follows.\n\n"+COPY,subject="Undeliverable Mail",sender="<postmaster@mx.example>",headers="X-Mailer: <SMTP32 v8.22>\n"))
case("smtp32 several","bounce",[("a@rcpt.example","unknown_mailbox","failed",True,True),("b@rcpt.example","mailbox_full","failed",None,False)],written("Unknown user: a@rcpt.example\nUser mailbox exceeds allowed size: b@rcpt.example\n\n\nOriginal message follows.\n\n"+COPY,subject="Undeliverable Mail",sender="<postmaster@mx.example>",headers="X-Mailer: <SMTP32 v8.22>\n"))
case("yahoo old","bounce",UNKNOWN,written("Message from yahoo.com.\nUnable to deliver message to the following address(es).\n\n<user@rcpt.example>:\nThis user doesn't have a rcpt.example account (user@rcpt.example) [0]\n\n--- Original message follows.\n\n"+COPY,subject="failure delivery",sender="MAILER-DAEMON@yahoo.com"))
case("verizon","bounce",one(None,None,None,rcpt="5555551212@vtext.com"),written("Error: 550 - Requested action not taken: no such user here\n\nYour message to 5555551212@vtext.com could not be delivered.\n\n",subject="Undeliverable message",sender="post_master@vtext.com"),"")
case("kddi","bounce",one("mailbox_full",None,False),written("Your mail sent on: Thu, 29 Apr 2010 11:04:47 +0900 \n     Could not be delivered to: <user@rcpt.example> \n     As their mailbox is full.\n",subject="Failure Notice",sender="postmaster@app.auone-net.jp",headers="X-SPASIGN: NG\n"),"")
case("ezweb","bounce",one("mailbox_disabled",None,True),written("The user(s) account is disabled.\n\n<user@rcpt.example>\n\n",subject="Mail System Error - Returned Mail",sender="Postmaster@ezweb.ne.jp"),"")
case("ezweb2","bounce",UNKNOWN,written("Each of the following recipients was rejected by a remote mail server.\n\n    Recipient: <user@rcpt.example>\n    >>> RCPT TO:<user@rcpt.example>\n    <<< 550 <user@rcpt.example>: User unknown\n",subject="Mail System Error - Returned Mail",sender="Postmaster@ezweb.ne.jp"),"")
case("biglobe","bounce",one("mailbox_full",None,False),written("   ----- The following addresses had delivery problems -----\nuser@rcpt.example\n\n   ----- Non-delivered information -----\nThe number of messages in recipient's mailbox exceeded the local limit.\n\n--ABCDEF--\n",subject="Returned mail: see transcript for details",sender="postmaster@biglobe.ne.jp"),"")
case("domino html","bounce",UNKNOWN,written("<html><body>Your message<br><br>Subject: Hello<br><br>was not delivered to:<br><br>user@rcpt.example<br><br>because:<br><br>550 5.1.1 No such user</body></html>",kind="html",subject="DELIVERY FAILURE: 550 5.1.1 No such user",sender="Postmaster@rcpt.example"),"")
case("exch2003","bounce",UNKNOWN,report("Your message did not reach some or all of the intended recipients.\n\n      Subject:  Hello\n      Sent:     1/1/2026 1:00 AM\n\nThe following recipient(s) could not be reached:\n\n      user@rcpt.example on 1/1/2026 1:00 AM\n            The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or contact the recipient directly to find out the correct address.\n            <mx.example #5.1.1>\n",None,subject="Undeliverable: Hello",sender="System Administrator <postmaster@mx.example>"))
case("exch2003 b","bounce",one("relaying_denied",True,False),written("Your message did not reach some or all of the intended recipients.\n\n      Subject:  Hello\n\nThe following recipient(s) could not be reached:\n\n      'user@rcpt.example' on 1/1/2026 1:00 AM\n            You do not have permission to send to this recipient.  For assistance, contact your system administrator.\n            <mx.example #5.7.1 smtp;550 5.7.1 Unable to relay for user@rcpt.example>\n",subject="Undeliverable: Hello",sender="System Administrator <postmaster@mx.example>"),"")
case("outlook.com","bounce",UNKNOWN,report("This is an automatically generated Delivery Status Notification.\n\nDelivery to the following recipients failed.\n\n       user@rcpt.example\n\n","Reporting-MTA: dns;BAY.hotmail.com\nReceived-From-MTA: dns;x\nArrival-Date: Mon\n\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.5.0\nDiagnostic-Code: smtp;550 Requested action not taken: mailbox unavailable (-1)\n",sender="postmaster@mail.hotmail.com",subject="Delivery Status Notification (Failure)"))
case("sendgrid","bounce",one("blocklisted",True,False),report("Hello, this is the mail server on mx.example.\n\nI am sending you this message to inform you on the delivery status of a message you previously sent.  Immediately below you will find a list of the affected recipients; also attached is a DSN.\n\n  <user@rcpt.example> delivery failed; will not continue trying\n","Reporting-MTA: dns; sendgrid.net\nArrival-Date: Mon\n\nFinal-recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org\n"))
case("pmta","bounce",UNKNOWN,report("Hello, this is the mail server on mx.example.\n\nI am sending you this message to inform you on the delivery status of a message you previously sent.\n\n  <user@rcpt.example> (bad destination mailbox)\n    delivery failed; will not continue trying\n","Reporting-MTA: dns;mx.example\nX-PowerMTA-VirtualMTA: x\n\nOriginal-Recipient: rfc822;user@rcpt.example\nFinal-Recipient: rfc822;user@rcpt.example\nAction: failed\nStatus: 5.1.1 (bad destination mailbox address)\nRemote-MTA: dns;mx.rcpt.example (192.0.2.1)\nDiagnostic-Code: smtp;550 5.1.1 User unknown\nX-PowerMTA-BounceCategory: bad-mailbox\n"))
case("courier dsn","bounce",UNKNOWN,report("This is a delivery status notification from mx.example,\nrunning the Courier mail server, version 0.60.\n\nThe original message was received on Mon\n\n---------------------------------------------------------------------------\n\n                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<user@rcpt.example>:\n    mx.rcpt.example [192.0.2.1]:\n>>> RCPT TO:<user@rcpt.example>\n<<< 550 User unknown\n","Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; user@rcpt.example\nAction: failed\nStatus: 5.0.0\nRemote-MTA: dns; mx.rcpt.example [192.0.2.1]\nDiagnostic-Code: smtp; 550 User unknown\n",subject="NOTICE: mail delivery status.",sender='"Courier mail server at mx.example" <@>'))
case("simple text 1","bounce",UNKNOWN,written("The following message to user@rcpt.example could not be delivered:\nReason: User does not exist\n",subject="Mail undeliverable",sender="postmaster@mx.example"),"")
case("addr in sentence","bounce",UNKNOWN,written("Sorry, the user user@rcpt.example does not exist at this server.\n",subject="Undeliverable",sender="postmaster@mx.example"),"")
case("addr without domain","bounce",[("user@rcpt.example","unknown_mailbox","failed",True,True)],written("The following address had permanent fatal errors:\n  user (unknown user)\n\n"+COPY,subject="Returned mail",sender="MAILER-DAEMON@mx.example"))
case("table html","bounce",UNKNOWN,written("<table><tr><th>Recipient</th><th>Reason</th></tr><tr><td>user@rcpt.example</td><td>550 5.1.1 User unknown</td></tr></table>",kind="html",subject="Mail delivery failed",sender="postmaster@mx.example"),"")
case("table html 2","bounce",[("a@x.example","unknown_mailbox","failed",True,True),("b@x.example","mailbox_full","failed",None,False)],written("<p>Delivery failed</p><table><tr><th>Recipient</th><th>Reason</th></tr><tr><td>a@x.example</td><td>550 5.1.1 User unknown</td></tr><tr><td>b@x.example</td><td>552 5.2.2 mailbox full</td></tr></table>",kind="html",subject="Mail delivery failed",sender="postmaster@mx.example"),"")
case("barracuda","bounce",one("content_refused",True,False),written("**Message you sent blocked by our bulk email filter**\n\nYour message to: user@rcpt.example\nwas blocked by our Spam Firewall. The email you sent with the following subject has NOT BEEN DELIVERED:\n\nSubject: Hello\n",subject="**Message you sent blocked by our bulk email filter**",sender="Barracuda Spam Firewall <postmaster@rcpt.example>"),"")
case("virus notice","bounce",one("malware",None,False),written("VIRUS ALERT\n\nOur content checker found\n    virus: Eicar-Test-Signature\nin an email to you from probably faked sender / in email from you to the following recipient:\n-> user@rcpt.example\n\nDelivery of the email was stopped!\n",subject="VIRUS (Eicar-Test-Signature) in mail FROM YOU",sender='"Content-filter at mx.example" <postmaster@mx.example>'),"")
case("sieve reject mdn","bounce",None,report("Your message was automatically rejected by Dovecot Mail Delivery.\n\nThe following reason was given:\nNo mail please","Reporting-UA: mx; Dovecot Mail Delivery Agent\nOriginal-Recipient: rfc822; user@rcpt.example\nFinal-Recipient: rfc822; user@rcpt.example\nOriginal-Message-ID: <m1@sender.example>\nDisposition: automatic-action/MDN-sent-automatically; deleted\n",stype="message/disposition-notification",outer='multipart/report; report-type=disposition-notification; boundary="b"',subject="Rejected: Hello",sender="Mail Delivery Subsystem <postmaster@rcpt.example>",rtype="message/rfc822"))
case("cyrus sieve","bounce",None,report("Your message was automatically rejected by Sieve, a mail\nfiltering language.\n\nThe following reason was given:\nI don't want your mail","Reporting-UA: mx.example; Cyrus\nFinal-Recipient: rfc822; user@rcpt.example\nOriginal-Message-ID: <m1@sender.example>\nDisposition: automatic-action/MDN-sent-automatically; deleted\n",stype="message/disposition-notification",outer='multipart/report; report-type=disposition-notification; boundary="b"',subject="Automatically rejected mail",sender="Mail Sieve Subsystem <MAILER-DAEMON@rcpt.example>"))
case("expired hotmail","bounce",one("gave_up",None,False),report("x",MTA+F+"Action: failed\nStatus: 4.4.7\n"))
case("o365 0.350 nested","bounce",one("content_refused",True,False),report("Your message to user@rcpt.example couldn't be delivered.","Reporting-MTA: dns;VI1PR\n\n"+F+"Action: failed\nStatus: 5.0.350\nDiagnostic-Code: smtp;550 5.0.350 Remote server returned an error -> 554 5.7.1 Message rejected as spam\n"))
case("o365 html","bounce",one("policy",True,False),written("<html><body><p>Your message to user@rcpt.example couldn't be delivered.</p><p>A custom mail flow rule created by an admin at rcpt.example has blocked your message.</p><p>550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy</p></body></html>",kind="html",subject="Undeliverable: Hello",sender="Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@rcpt.example>"),"")
case("x-actual+orig","bounce",[("alias@rcpt.example","unknown_mailbox","failed",True,True)],report("x",MTA+"Original-Recipient: rfc822;alias@rcpt.example\nFinal-Recipient: rfc822;real@host.rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("sms gateway 550","bounce",one("unknown_mailbox",True,True),written("<user@rcpt.example>: 550 Not our Customer\n",subject="Undeliverable: Hello",sender="postmaster@rcpt.example"),"")
case("mail.ru bounce html","bounce",UNKNOWN,written("<p>Ваше письмо не доставлено одному или нескольким получателям</p><p>user@rcpt.example</p><p>550 Message was not accepted -- invalid mailbox.  Local mailbox user@rcpt.example is unavailable: user not found</p>",kind="html",subject="Mail failure.",sender="mailer-daemon@corp.mail.ru"),"")
case("naver","bounce",UNKNOWN,written("<html><body><p>메일 발송 실패 안내</p><p>보내신 메일이 전송되지 못했습니다.</p><table><tr><td>받는사람</td><td>user@rcpt.example</td></tr><tr><td>발송 실패 사유</td><td>받는 사람이 회원님의 메일을 수신거부 하였거나 존재하지 않는 메일 주소입니다. (550 5.1.1 No such user)</td></tr></table></body></html>",kind="html",subject="[NAVER] 메일 전송 실패 안내",sender="mailer-daemon@naver.com"),"")

# MIME trouble
STATUS=MTA+F+"Action: failed\nStatus: 5.1.1\n"
case("boundary with spaces","bounce",UNKNOWN,report("x",STATUS,outer='multipart/report; report-type=delivery-status;\n boundary="b c"').replace("--b\n","--b c\n").replace("--b--","--b c--"))
case("boundary unquoted special","bounce",UNKNOWN,report("x",STATUS,outer="multipart/report; report-type=delivery-status; boundary=b=1").replace("--b\n","--b=1\n").replace("--b--","--b=1--"))
case("no blank after part headers","bounce",None,report("x",STATUS).replace("Content-Type: message/delivery-status\n\n","Content-Type: message/delivery-status\n"),"<m1@sender.example>")
case("content type missing on outer","bounce",UNKNOWN,report("x",STATUS).replace('Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n',""))
case("wrong content type text/plain outer","bounce",UNKNOWN,report("x",STATUS).replace('Content-Type: multipart/report; report-type=delivery-status; boundary="b"',"Content-Type: text/plain"))
case("header folded content-type","bounce",UNKNOWN,report("x",STATUS,outer='multipart/report;\n\treport-type="delivery-status";\n\tboundary="b"'))
case("upper content type","bounce",UNKNOWN,report("x",STATUS,outer='MULTIPART/REPORT; REPORT-TYPE=DELIVERY-STATUS; BOUNDARY="b"',stype="Message/Delivery-Status"))
case("status part with charset","bounce",UNKNOWN,report("x",STATUS,stype="message/delivery-status; charset=us-ascii"))
case("status b64 wrongly undeclared","bounce",None,report("<user@rcpt.example>: 550 5.1.1 user unknown",base64.encodebytes(STATUS.encode()).decode()))
case("rfc822 with attachments inside","bounce",UNKNOWN,report("x",STATUS,COPY.replace("MIME-Version: 1.0\n","MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=zz\n")+"--zz\nContent-Type: text/plain\n\nFinal-Recipient: rfc822; evil@y.example\nAction: failed\nStatus: 5.1.1\n--zz--\n"))
case("text/rfc822 part inline named","bounce",UNKNOWN,report("x",STATUS,COPY,rtype="text/plain; name=original.eml"))
case("octet original","bounce",UNKNOWN,report("x",STATUS,COPY,rtype="application/octet-stream; name=original.eml"))
case("8bit in from","bounce",UNKNOWN,report("x",STATUS).encode().replace(b"MAILER-DAEMON@mx.example",b"\xff\xfe <MAILER-DAEMON@mx.example>"))
case("headers with nul","bounce",UNKNOWN,report("x",STATUS).replace("Subject: ","Subject: \0"))
case("very long header","bounce",UNKNOWN,report("x",STATUS,headers="X-Long: "+"a"*100000+"\n"))
case("1000 Received","bounce",UNKNOWN,report("x",STATUS,headers="Received: from a by b; Mon, 1 Jan 2026\n"*1000))
case("200 recipients","bounce",None,report("x",MTA+"\n".join(f"Final-Recipient: rfc822; u{n}@x.example\nAction: failed\nStatus: 5.1.1\n" for n in range(200))))
case("dup recipient","bounce",None,report("x",MTA+F+"Action: failed\nStatus: 5.1.1\n\n"+F+"Action: failed\nStatus: 5.1.1\n"))
case("msg id weird","bounce",UNKNOWN,report("x",STATUS,COPY.replace("Message-ID: <m1@sender.example>","Message-Id:\n <m1@sender.example>")))
case("msg id lowercase","bounce",UNKNOWN,report("x",STATUS,COPY.replace("Message-ID: <m1@sender.example>","message-id: <m1@sender.example>")))
case("mid without brackets","bounce",UNKNOWN,report("x",STATUS,COPY.replace("Message-ID: <m1@sender.example>","Message-ID: m1@sender.example")),"m1@sender.example")
case("returned body only text quoted","bounce",UNKNOWN,written("<user@rcpt.example>: 550 5.1.1 User unknown\n\n> Received: from a by b\n> Message-ID: <m1@sender.example>\n> From: News <news@sender.example>\n> To: user@rcpt.example\n> Subject: Hello\n"))
case("returned indented","bounce",UNKNOWN,written("<user@rcpt.example>: 550 5.1.1 User unknown\n\n   ----- Message header follows -----\n\n    Return-Path: <news@sender.example>\n    Received: from a by b\n    Message-ID: <m1@sender.example>\n    From: News <news@sender.example>\n    To: user@rcpt.example\n"))
case("mid in text de","bounce",UNKNOWN,written("<user@rcpt.example>: 550 5.1.1 User unknown\n\nNachrichten-ID: <m1@sender.example>\n"))
case("mid x-header", "bounce",UNKNOWN,written("<user@rcpt.example>: 550 5.1.1 User unknown\n",headers="X-Failed-Message-ID: <m1@sender.example>\n"),None)
case("html entity addr","bounce",UNKNOWN,written("<p>Delivery failed to &lt;user@rcpt.example&gt;: 550 5.1.1 user unknown</p>",kind="html"),"")
case("html split addr","bounce",UNKNOWN,written("<p>Delivery failed to <b>user</b>@rcpt.example: 550 5.1.1 user unknown</p>",kind="html"),"")
case("plus addr","bounce",one("unknown_mailbox",True,True,rcpt="user+tag=x@rcpt.example"),report("x",MTA+"Final-Recipient: rfc822; user+tag=x@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("quoted local","bounce",one("unknown_mailbox",True,True,rcpt='"john doe"@rcpt.example'),report("x",MTA+'Final-Recipient: rfc822; "john doe"@rcpt.example\nAction: failed\nStatus: 5.1.1\n'))
case("apostrophe","bounce",one("unknown_mailbox",True,True,rcpt="o'neil@rcpt.example"),report("x",MTA+"Final-Recipient: rfc822; o'neil@rcpt.example\nAction: failed\nStatus: 5.1.1\n"))
case("apostrophe text","bounce",one("unknown_mailbox",True,True,rcpt="o'neil@rcpt.example"),written("<o'neil@rcpt.example>: 550 5.1.1 User unknown\n\n"+COPY))
case("docomo dots","bounce",one("unknown_mailbox",True,True,rcpt="a..b.@docomo.example"),written("<a..b.@docomo.example>: 550 Unknown user a..b.@docomo.example\n\n"+COPY))
case("ip literal","bounce",one("unknown_mailbox",True,True,rcpt="user@[192.0.2.1]"),report("x",MTA+"Final-Recipient: rfc822; user@[192.0.2.1]\nAction: failed\nStatus: 5.1.1\n"))
case("no domain","bounce",[("user","unknown_mailbox","failed",True,True)],report("x",MTA+"Final-Recipient: rfc822; user\nAction: failed\nStatus: 5.1.1\n",None),"")
case("idn text","bounce",one("unknown_mailbox",True,True,rcpt="жук@почта.рф"),written("<жук@почта.рф>: 550 5.1.1 User unknown\n\n"+COPY))
# diagnostics
case("code w/o space","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp;550-5.1.1<user@rcpt.example>:User unknown\n"))
case("diag w/ encoded words","bounce",full(),report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; =?utf-8?b?"+base64.b64encode("550 邮箱已满".encode()).decode()+"?=\n"))
case("two diagnostic codes","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.0.0\nDiagnostic-Code: x-unix; exit 1\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\n"))
case("status with text","bounce",UNKNOWN,report("x",MTA+F+"Action: failed\nStatus: 5.1.1 (User unknown)\n"))
case("status 5-1-1","bounce",None,report("x",MTA+F+"Action: failed\nStatus: 511\nDiagnostic-Code: smtp;550 user unknown\n"))
case("remote mta says","bounce",full(),report("x",MTA+F+"Action: failed\nStatus: 5.2.2\nRemote-MTA: dns; mx\nDiagnostic-Code: X-Postfix; host mx[1.2.3.4] said: 552 5.2.2 mailbox full (in reply to RCPT TO command)\n"))
case("delivered w/ 550 text","delivered",None,report("x",MTA+F+"Action: delivered\nStatus: 2.1.5\nDiagnostic-Code: smtp; 250 ok\n"))
case("delayed then told final","delay",None,report("Your message is delayed; no need to resend",MTA+F+"Action: delayed\nStatus: 4.4.7\nWill-Retry-Until: Mon\n",subject="Warning: could not send message for past 4 hours"))
case("failed w/o status w/ greylist","bounce",one("greylisted",False,False),report("x",MTA+F+"Action: failed\nStatus: 4.7.1\nDiagnostic-Code: smtp; 451 4.7.1 Greylisted, try again later\n"))
case("expired w/ last reply","bounce",one("mailbox_full",False,False),report("x",MTA+F+"Action: failed\nStatus: 4.2.2\nDiagnostic-Code: smtp; 452 4.2.2 Mailbox full\n"))
case("action error","bounce",UNKNOWN,report("x",MTA+F+"Action: error\nStatus: 5.1.1\n"))
case("action empty status 2","delivered",None,report("x",MTA+F+"Action: \nStatus: 2.0.0\n"))
# auto-replies from daemon-like addresses & bounces with auto words
case("auto from support@","auto-reply",[],written("Thank you for contacting us. Your ticket number is 123. We could not process attachments; delivery failed notices are ignored.",sender="Support <support@rcpt.example>",subject="[#123] Re: Hello",headers="Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\n"),"")
case("auto postmaster vac","auto-reply",[],written("I am out of the office until Monday.",sender="Postmaster <postmaster@rcpt.example>",subject="Out of Office: Hello",headers="Auto-Submitted: auto-replied\n"),"")
case("bounce w/ auto-submitted","bounce",UNKNOWN,written("<user@rcpt.example>: 550 5.1.1 User unknown\n\n"+COPY,headers="Auto-Submitted: auto-generated\nPrecedence: bulk\n"))
case("noreply notice","auto-reply",[],written("This mailbox is not monitored. Please do not reply to this message.",sender="noreply@rcpt.example",subject="Automatic reply: Hello"),"")
case("left: new address","auto-reply",[],written("I no longer work at Example. My new address is new@y.example. This address will be deleted.",sender="User <user@rcpt.example>",subject="Re: Hello",headers="Auto-Submitted: auto-replied\n"),"")
case("read notif text","other",None,written("Your message was read on Monday.",sender="user@rcpt.example",subject="Read: Hello"),"")
case("mailing list digest","other",[],written("Today's Topics:\n 1. Re: Undelivered mail (Bob)\n\nMessage: 1\nFrom: bob@x.example\nSubject: Undelivered mail\n\n550 5.1.1 user unknown, what is it?\n",sender="list-request@lists.example",subject="List Digest, Vol 1",headers="Precedence: list\nList-Id: <list.lists.example>\n"),"")
case("dmarc aggregate","other",[],written("This is a DMARC aggregate report for sender.example",sender="noreply-dmarc-support@google.com",subject="Report domain: sender.example Submitter: google.com Report-ID: 1"),"")
case("spam to bounce addr","other",[],written("Buy cheap pills! Satisfaction or your money returned.",sender="Pills <x@spam.example>",subject="Hello friend"),"")
case("phish bounce","other",None,written("Your mailbox is full. Click here to validate: http://x.example/ or your messages will be rejected",sender="Mail Admin <it@spam.example>",subject="Mailbox full: 5 messages could not be delivered"),"")

# things that combine
case("google full html warn","bounce",one("mailbox_full",True,False),report("<h2>Message not delivered</h2>There was a problem delivering your message to <b>user@rcpt.example</b>. See the technical details below.","Reporting-MTA: dns; googlemail.com\n\n"+F+"Action: failed\nStatus: 5.2.2\nRemote-MTA: dns; gmail-smtp-in\nDiagnostic-Code: smtp; 552-5.2.2 The recipient's inbox is out of storage space and inactive. Please\n direct the recipient to\n 552 5.2.2  https://support.google.com/mail/?p=OverQuotaPerm x - gsmtp\n",told_type="text/html; charset=utf-8"))
case("gmail timed out","bounce",one("unreachable",False,False),report("x","Reporting-MTA: dns; googlemail.com\n\n"+F+"Action: failed\nStatus: 4.4.1\nDiagnostic-Code: smtp; The recipient server did not accept our requests to connect. Learn more at https://support.google.com/mail/answer/7720 \n [mx.rcpt.example. 192.0.2.1: timed out]\n"))
case("o365 4.4.7 old hop","bounce",one("gave_up",None,False),report("Delivery has failed. Your message wasn't delivered. Despite repeated attempts to deliver your message, the recipient's email system refused to accept a connection from your email system.","Reporting-MTA: dns;x\n\n"+F+"Action: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp;550 4.4.7 QUEUE.Expired; message expired\n"))
case("exim quota local","bounce",one("mailbox_full",None,False),written("The following address(es) failed:\n\n  user@rcpt.example\n    (user@rcpt.example)\n    quota exceeded\n    mailbox is full (MTA-imposed quota exceeded while writing to file /home/x)\n\n"+COPY,headers="X-Failed-Recipients: user@rcpt.example\n"))
case("exim dmarc","bounce",one("dmarc_failed",True,False),report("x","Reporting-MTA: dns; mx\n\nAction: failed\nFinal-Recipient: rfc822;user@rcpt.example\nStatus: 5.0.0\nRemote-MTA: dns; mx.rcpt.example\nDiagnostic-Code: smtp; 550 5.7.1 Email rejected per DMARC policy for sender.example\n"))
case("postfix local pipe user unknown","bounce",UNKNOWN,report("<user@rcpt.example>: user unknown. Command output: User unknown",MTA+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: x-unix; User unknown\n"))
case("postfix expand alias","bounce",[("list@rcpt.example","unknown_mailbox","failed",True,True)],report("<gone@far.example> (expanded from <list@rcpt.example>): host mx said: 550 5.1.1 User unknown (in reply to RCPT TO command)",MTA+"Final-Recipient: rfc822; gone@far.example\nOriginal-Recipient: rfc822;list@rcpt.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n"))
case("postfix expand alias text","bounce",[("list@rcpt.example","unknown_mailbox","failed",True,True)],written("<gone@far.example> (expanded from <list@rcpt.example>): host\n    mx.far.example[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO\n    command)\n\n"+COPY))
case("sendmail expanded from","bounce",[("alias@rcpt.example","unknown_mailbox","failed",True,True)],written("   ----- The following addresses had permanent fatal errors -----\n<gone@far.example>\n    (reason: 550 5.1.1 User unknown)\n    (expanded from: <alias@rcpt.example>)\n\n   ----- Transcript of session follows -----\n550 5.1.1 <gone@far.example>... User unknown\n\n"+COPY,subject="Returned mail: see transcript for details"))
case("sendmail dsn deferred warning","delay",None,report("    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n","Reporting-MTA: dns; mx\n\nFinal-Recipient: RFC822; user@rcpt.example\nAction: delayed\nStatus: 4.4.3\nLast-Attempt-Date: Mon\nWill-Retry-Until: Tue\n",subject="Warning: could not send message for past 4 hours"))
case("aws html","bounce",UNKNOWN,written("<p>Delivery to the following recipients failed permanently:</p><ul><li>user@rcpt.example</li></ul><p>Reason: Permanent Error</p><p>The error that the other server returned was: 550 5.1.1 User unknown</p>",kind="html",sender="MAILER-DAEMON@example.awsapps.com",subject="Delivery Status Notification (Failure)"),"")
case("two sections one address","bounce",UNKNOWN,written("Your message could not be delivered to:\n\n  user@rcpt.example\n\nTechnical report:\n\nRemote server: mx.rcpt.example\nCommand: RCPT TO:<user@rcpt.example>\nReply: 550 5.1.1 User unknown\n"),"")
case("postmaster contact in text","bounce",UNKNOWN,written("user@rcpt.example was not found (550 5.1.1). If you need help contact helpdesk-it@mx.example.\n",sender="postmaster@mx.example"),"")
case("bcc'd","bounce",UNKNOWN,written("This is the mail system at host mx.example.\n\nFor further assistance, please send mail to mailhelp@mx.example.\n\n<user@rcpt.example>: host mx[192.0.2.1] said: 550 5.1.1 User unknown. Contact admin@rcpt.example for help (in reply to RCPT TO)\n\n"+COPY))
case("ms delivery group restrict","bounce",one("recipient_refuses",True,False),written("<p>Your message to user@rcpt.example couldn't be delivered.</p><p>The group only accepts messages from people in its organization or on its allowed senders list, and your email address isn't on the list.</p><p>550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required</p>",kind="html",sender="Microsoft Outlook <postmaster@rcpt.example>",subject="Undeliverable: Hello"),"")
case("yahoo 2020s","bounce",UNKNOWN,written("Sorry, we were unable to deliver your message to the following address.\n\n<user@rcpt.example>:\n554: 5.1.1 : user unknown\n\n--- Below this line is a copy of the message.\n\n"+COPY,subject="Failure Notice",sender="MAILER-DAEMON@yahoo.com"))
case("icloud","bounce",UNKNOWN,report("x","Reporting-MTA: dns; mr85p00im.me.com\n\n"+F+"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp;550 5.1.1 <user@rcpt.example>: user does not exist (TCP|17.1.1.1|1|2|25)\n"))
case("proofpoint","bounce",one("policy",None,False),report("x",MTA+F+"Action: failed\nStatus: 5.7.0\nDiagnostic-Code: smtp; 550 5.7.0 Local Policy Violation\n"))
case("sophos","bounce",one("content_refused",None,False),report("x",MTA+F+"Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550-5.7.1 Message has been rejected by antispam\n"))
case("subject only tells","bounce",UNKNOWN,written("user@rcpt.example\n",subject="Undeliverable: User unknown",sender="postmaster@mx.example"),"")
# fmt: on


def _fits(found, expected):
    return len(found) == len(expected) and all(
        want is None or got == want
        for one_found, one_wanted in zip(found, expected, strict=True)
        for got, want in zip(one_found, one_wanted, strict=True)
    )


def test_a_mail_of_any_shape_is_read():
    wrong = []
    for name, (kind, recipients, data, message_id) in CASES.items():
        found = describe(read(data))
        told = [
            (each["recipient"], each["reason"], each["action"], each["permanent"], each["suppress"])
            for each in found["recipients"]
        ]
        is_right = (
            found["type"] == kind
            and (recipients is None or _fits(told, recipients))
            and message_id in {None, found["original_message_id"]}
        )
        if not is_right:
            wrong.append((name, found["type"], told, found["original_message_id"]))
    assert wrong == []
