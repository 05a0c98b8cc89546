"""Phrases so exact that they are read before the broad ones of `texts`: one rule each, in what order stands below."""

from mailops.protocol.classification.meanings import Reason
from mailops.protocol.classification.signs import BEFORE_ANYONE, Sign, has, says

EXACT: tuple[Sign, ...] = (
    # Names that Exchange gives to what went wrong
    says(Reason.QUOTA_SPENT, r"submissionquota|submission quota|(?:sending|outbound|bulk) quota|(?:daily|hourly|monthly) (?:\w+ ){0,3}(?:limit|quota)"),
    says(Reason.LOGIN_REQUIRED, r"\bauth(?:enticate)? first|log ?in first"),
    says(Reason.RELAYING_DENIED, r"(?:unable|not permitted|not allowed) to relay|relay(?:ing)? (?:access )?(?:is )?(?:denied|not permitted|not allowed|prohibited)"),
    says(Reason.RECIPIENT_BUSY, r"rst\.reciplimit|limit for the number of messages (?:they|it|that)|recipientthread|recipient thread limit"),
    says(Reason.RECIPIENT_REFUSES, r"resolver\.rst\.(?:auth|not|sender|restricted)|in allowed-senders|delivery restriction"),
    says(Reason.BAD_ADDRESS, r"resolver\.adr\.(?:ambiguous|badprimary|invalid)"),
    says(Reason.TOO_BIG, r"rst\.(?:recip|send)sizelimit|smtpsend\.\w*size"),
    says(Reason.BAD_MESSAGE, r"barelinefeeds|conversionfailed|corrupt(?:ed)? tnef|invalid message content"),
    # What Microsoft 365 says by status alone, however it words it
    has(Reason.RECIPIENT_BUSY, "2.121", "2.122"),
    has(Reason.QUOTA_SPENT, "1.90", "7.705", "7.230", "7.231", "7.232", "7.233"),
    has(Reason.ACCOUNT_STOPPED, "7.501", "7.502", "7.503"),
    has(Reason.RECIPIENT_REFUSES, "7.124", "7.129", "7.133", "7.134", "7.135", "7.136", "7.505", "7.507"),
    has(Reason.NO_REVERSE_DNS, "7.506"),
    has(Reason.LOW_REPUTATION, "7.708"),
    has(Reason.DMARC_FAILED, "7.509"),
    has(Reason.BLOCKLISTED, "7.511", "7.513"),
    has(Reason.BAD_MESSAGE, "7.512", "6.11", "1.20"),
    has(Reason.UNAUTHENTICATED, "7.515"),
    has(Reason.POLICY, "7.520", "7.703"),
    has(Reason.SENDER_REFUSED, "7.750", "7.60"),
    has(Reason.UNREACHABLE, "4.312", "4.315", "4.316", "4.317", "4.318"),
    has(Reason.UNKNOWN_DOMAIN, "4.310"),
    has(Reason.LOOP, "4.14", "4.11"),
    has(Reason.GAVE_UP, "4.300", "4.301"),
    has(Reason.TLS_FAILED, "7.321", "7.322", "7.323", "7.324", "7.325", "4.8"),
    has(Reason.RATE_LIMITED, "7.651", "7.652"),
    # Secure connections that another hop could not make
    says(Reason.TLS_FAILED, r"tls (?:session )?is required,? but|requiretls|tlsa|(?:dane|mta-sts) (?:\w+ ){0,3}(?:fail|validation|policy)|certificate[- ](?:\w+[- ]){0,6}(?:expired|invalid|mismatch|untrusted|not trusted|verif\w+)|starttls-not-supported|does(?: not|n't) support (?:starttls|tls)|cannot start tls|tls (?:handshake|negotiation) fail|server certificate|tls is not available|dnssec-invalid"),
    says(Reason.TLS_REQUIRED, r"(?:wasn't|not|isn't) sent (?:over|using|via|through) (?:a )?(?:tls|secure|encrypted)|starttls required"),
    # Our authentication, before anything is laid on the sender's address
    says(Reason.SENDER_REFUSED, r"sender (?:\w+ ){0,2}has (?:a )?null ?mx|does not like sender|sender verif\w+ fail|sender verify fail|null sender (?:is )?not allowed"),
    says(Reason.NO_REVERSE_DNS, r"doesn't have a ptr|ptr records? and|bad dns ptr|no ptr|requires? .{0,40}ptr record|helo (?:command )?rejected|invalid (?:helo|ehlo)|(?:helo|ehlo) name|(?:helo|ehlo) (?:\w+ ){0,2}(?:requires?|must|needs?)"),
    says(Reason.DMARC_FAILED, r"\bdmarc\b|domain owner policy|from: ?(?:header )?.{0,60}(?:is not|isn't|not) aligned|header from .{0,30}align"),
    says(Reason.UNAUTHENTICATED, r"sender is unauthenticated|authentication checks|neither spf nor dkim|both (?:do not|don't) pass|both (?:spf|dkim) and (?:spf|dkim)|(?:spf and dkim|dkim and spf) (?:\w+ ){0,3}(?:fail|did not|do not)"),
    says(Reason.SPF_FAILED, r"\bspf\b(?!.{0,60}\bdkim\b).{0,60}(?:fail|not pass|didn't|did not|does not|not (?:allowed|permitted|authorized|designat)|softfail|reject|violat|hardfail|invalid)|sender address rejected: .{0,30}\bspf\b|(?:fail\w*|reject\w*|refuse|violat\w*)(?: \S+){0,3} \(?spf\)?(?! (?:and|or|nor) dkim)|\(spf\)|\[spf\]|does not designate|owner discourages use|sender policy framework|not (?:an? )?(?:authorized|allowed|permitted) (?:to send )?(?:mail )?(?:from|for) (?:the )?(?:sender )?domain|not listed as (?:an )?(?:authorized|allowed) sen"),
    says(Reason.DKIM_FAILED, r"\bdkim\b(?: \S+){0,4} (?:fail\w*|didn't pass|did not pass|invalid|missing|error)"),
    says(Reason.UNAUTHENTICATED, r"arc[- ](?:validation|seal|chain|authentication)|anti-?spoof|spoof(?:ed|ing)|required authentication level|e-?mail-authentifizierung"),
    # The sender's address is no recipient's, whatever is wrong with it
    says(Reason.SENDER_REFUSED, r"\b(?:sender|return.path|mail from|envelope from)(?:'s)?(?: (?:mailbox|address|account|domain|e-?mail|user))* (?:\S+ )?(?:does not|doesn't|is unknown|unknown|is invalid|invalid|not found|could not be|couldn't be|cannot be|can't be|is not valid|not exist)"),
    says(Reason.CONTENT_REFUSED, r"\burls?\b.{0,60}(?:listed|blacklist|surbl|uribl|dbl)|(?:link|website)s? .{0,40}(?:listed|blacklist)|contains .{0,40}(?:surbl|uribl)"),
    says(Reason.BLOCKLISTED, r"(?:mail|messages?|connections?) from \[?\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\]?(?: \S+){0,6} (?:blocked|rejected|refused|listed|blacklisted)"),
    says(Reason.LOW_REPUTATION, r"\b(?:ip|server|host|network)(?: \S+){0,4} (?:sent|sending|sends) (?:\S+ ){0,3}spam"),
    says(Reason.BLOCKLISTED, r"blocked using (?!barracuda reputation)\S|blocked by \S{0,60}(?:spamhaus|rbl|dnsbl|blocklist)|banned sending ip|spamhaus|spamcop|\bsorbs\b|uceprotect|barracudacentral|ip in blacklist|attrbl|block for spam|ip is (?:rejected|blacklisted|blocked)"),
    says(Reason.BLOCKLISTED, r"blocked using barracuda"),
    says(Reason.LOW_REPUTATION, r"will not accept delivery of this message"),
    # Whom the recipient keeps out
    says(Reason.RECIPIENT_REFUSES, r"(?:recipient|user|owner|addressee|mailbox)(?:'s)?(?: \w+){0,2} (?:has|have|is) (?:blocked|blocking|refusing|rejecting|filtering) (?:you|your|the sender|this sender|mail|e-?mail|messages|this)|(?:recipient|user|customer|addressee)(?:'s|s')? (?:\w+ ){0,2}(?:block(?:ed|ing)?|deny|black|reject|personal|junk|spam)[- ]?(?:list|senders?|filter|rules?)|manually blocked sender|(?:do not|don't|does not|doesn't) (?:want|wish) (?:to (?:receive|get|accept) )?(?:this|your|the|any|such|mail|e-?mail)|not wanted (?:by|here)|unwanted by|sieve|automatically rejected by|permission to (?:post|send)|the group .{0,60}restricted|closed (?:mailing )?list|list is (?:closed|moderated|private)|members[- ]only|(?:rejected|refused|declined|denied) by (?:the )?(?:recipient|user|addressee|owner)\b|challenge[/ -]response|not (?:on|in) (?:the |my |our |their )?(?:white|allow|safe)[ -]?list|private list|(?:blacklisted|blocked|listed) by (?:the )?recipient|recipient (?:\w+ ){0,2}(?:blocks|refuses|rejects) (?:mail|e-?mail|messages|you)"),
    # Who is gone, with a word of where to
    says(Reason.MAILBOX_MOVED, r"(?:user|recipient|mailbox|address|account|addressee|customer|person|he|she) (?:\w+ ){0,2}(?:has |have |was )?moved\b(?! to (?:trash|junk|spam))|no longer at this (?:site|location|address)|(?:new|changed) (?:e-?mail )?address is|(?:e-?mail )?address (?:has been |has |was )changed|user not local; ?(?:please )?try|please (?:update your (?:records|address)|use (?:the )?new address)"),
    # Temporary failures of names are nobody's
    says(Reason.UNREACHABLE, r"host not found, try again|temporary failure in name resolution|host lookup did not complete|name service error .{0,80}(?:try again|timed? ?out|servfail|server failure|temporar)|code servfail|lookup failed temporarily|(?:have|has) been failing for a long|after a long failure period|no mx or a hosts reachable|closed (?:the )?connection|(?:did not|didn't) accept (?:our|the) (?:requests?|connection)|(?:dns|mx) lookup (?:timed|timeout|timed-out)"),
    says(Reason.NO_MAIL_DOMAIN, r"indicated no smtp service|null ?mx|does not (?:receive|accept) e?-?mail \(null"),
    says(Reason.UNKNOWN_DOMAIN, r"domain lookup failed|code nxdomain|nonexistentdomain|domain name not found|no such domain"),
    # The form of the message and of the session
    says(Reason.NEEDS_SMTPUTF8, r"smtputf8"),
    says(Reason.BAD_MESSAGE, r"8bitmime is required|lines? (?:is |are )?(?:too long|longer than)|line (?:length|too long)|a line too long|(?:bare|lone|stray|naked) (?:line ?feeds?|lf|cr|newline)|contains? (?:nul|null|8-?bit|bare|invalid header|invalid char|non-ascii)|(?:missing|no|without(?: a)?|multiple|duplicate|invalid|malformed|bad|illegal|more than one)(?: \S+){0,3} (?:headers?\b(?! rejected)|message-id|date field|from: ?field)|(?:headers?|message|mail)(?: \S+){0,2} (?:is |are )?(?:malformed|not rfc|syntax error|not compliant)|not (?:rfc|compliant with rfc) ?\d*[ -]?compliant|rfc ?\d+ (?:section \S+ )?complian|bad_header|bad header|having no from|(?:body|content|mime)[- ](?:type|structure|encoding) (?:is )?(?:not supported|invalid|not understood|broken)|header (?:syntax )?error|headers? fail|not rfc ?\d+"),
    says(Reason.BAD_ADDRESS, r"bad (?:recipient )?address syntax|(?:recipient|address|mailbox) syntax|not a valid rfc-?5321|(?:is )?not a valid rfc"),
    says(Reason.NOT_UNDERSTOOD, r"(?:unrecogni[sz]ed|unknown|invalid|unimplemented|unsupported) command|command (?:not |un)(?:recogni[sz]ed|implemented|known|allowed here)|bad (?:command )?sequence|bad sequence of commands|need (?:mail|rcpt|helo|ehlo) |say (?:helo|ehlo|mail|rcpt)|protocol (?:error|violation)|synchroni[sz]ation error|nested mail|(?:bad|invalid|unknown|wrong) protocol"),
    # How much, how often
    says(Reason.RATE_LIMITED, r"temporarily rate[- ]limited|rate[- ]limit(?:ed|s|ing)?\b|throttl(?:ed|ing)\b|unusual rate|mail flood|frequency (?:is )?limit|mail send limit|max(?:imum)? (?:\w+ ){0,3}per (?:connection|session|minute|transaction)|(?:number of|concurrent|simultaneous|parallel) (?:\w+ )?(?:connections|sessions)|too many (?:\w+ ){0,2}(?:connections|recipients|sessions)|too much recipient|reciplimit|deferred due to excessive volume|(?:out of|exceeds?) (?:allow|allowed) rcpt"),
    # A machine's own trouble, where its words name a mailbox only by the way
    says(Reason.SERVER_BUSY, r"(?:system|server|queue|spool) (?:storage|resources|disk|space)|insufficient system|mail system full|shutting down|temporarily (?:rejected|refused)|no space left on device|ex_tempfail"),
    says(Reason.GREYLISTED, r"internal resources? (?:are |is )?temporarily unavailable"),
    says(Reason.MALWARE, r"\b(?:banned|infected): "),
    says(Reason.MAILBOX_FULL, r"over ?quota|mail ?(?:box|dir|drop) (?:is )?full|quota ?exceeded|reached (?:its|their|his|her) (?:\w+ )?(?:quota|capacity|limit)"),
    has(Reason.SERVER_BUSY, "3.1", text=r"disk|storage|space|resources|full"),
    says(Reason.SERVER_FAULT, r"configuration (?:error|problem)|config error(?!: mail loops)|misconfigur|queue file|can't create (?:user )?output file|command died|died with status|child process|exited with|unknown mailer error|unable to (?:switch|chdir|fork|exec|run|open|read)\b|failed to (?:expand|run|fork|exec|open)\b|could not open|internal (?:server |software |system )?error|backend (?:failure|error)|local delivery failed|transport process failed|can't (?:open|create|read|write|fork|exec)\b"),
    # Somebody's account, and whose
    says(Reason.ACCOUNT_STOPPED, r"(?:your|sending|sender'?s?) account (?:\w+ ){0,4}(?:suspended|disabled|blocked|paused|banned|closed)"),
    says(Reason.MAILBOX_DISABLED, r"(?:account|mailbox|user)(?: \S+){0,3} suspended (?:for|due to) (?:inactivity|non-?payment)|inactivity|never logged|inactive (?:e-?mail )?account|not (?:allowed|able|permitted|authori[sz]ed) to receive"),
    # Nobody there, in words that the broad phrases take for something else
    says(Reason.UNKNOWN_MAILBOX, r"not (?:present|in) (?:the |our |this )?(?:\w+ )?(?:directory|route list|recipient list|user list)|rcpt verification failed|user does not live here|(?:recipient|rcpt) (?:address )?not allowed|invalid mailbox\. .{0,80}user not found"),
    has(Reason.UNKNOWN_MAILBOX, "1.0", "1.1", text=r"(?:address|recipient) rejected(?!: (?:greylist|policy))"),
    has(Reason.UNKNOWN_MAILBOX, "4.1", "1.1", text=r"recipient address(?:es)? rejected ?: ?access denied"),
    # What came of a long wait
    says(Reason.GAVE_UP, r"will be deleted from queue|message timeout \(exceeded max time(?!, last)|exceeded max time without|has been in the queue too long|in the queue too long|exceed\w* (?:the )?max\w* (?:\w+ ){0,3}(?:retries|attempts|age)|after (?:multiple|several|too many|repeated) (?:retries|attempts)"),
    says(Reason.LOGIN_REQUIRED, r"client not authenticated to send", phases=BEFORE_ANYONE | {"rcpt", "data", "body", "returned"}),
    says(Reason.RELAYING_DENIED, r"requires authentication when|tenantattribution|local user only"),
)  # fmt: skip
