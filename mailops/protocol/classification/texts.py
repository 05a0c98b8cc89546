"""What servers write in English, and which reason each phrase gives; texts are matched as `folding.fold_reply` leaves them."""

import re

from mailops.protocol.classification.meanings import Reason
from mailops.protocol.classification.signs import BEFORE_ANYONE, Sign, says

# Read from the top; the first that fits decides. Texts are matched as `folding.fold_reply` leaves them.
TEXTS: tuple[Sign, ...] = (
    # What concerns us first: a refusal of ours must never be laid on the recipient.
    says(
        Reason.QUOTA_SPENT,
        r"reached (?:your|the) (?:daily|hourly|monthly) limit|out of quota|(?:sending|mail) quota|bulk quota|(?:daily|hourly) (?:\w+ )?(?:recipient|message|mail|sending)s? (?:\w+ )?(?:limit|rate)|exceeded (?:the )?max(?:imum)? (?:emails|messages) per (?:hour|day)|external recipient rate limit",
        r"(?:daily|hourly|monthly|sending) (?:\w+ ){0,3}(?:limit|quota) (?:has been |was |is )?(?:exceeded|reached|used up)",
        r"exceeded (?:your|the|its|their) (?:\w+ ){0,3}(?:sending|daily|hourly|monthly|account|message) (?:\w+ )?(?:limit|quota)",
        r"maximum credits exceeded|out of credits|insufficient credits|tenant (?:has )?exceeded",
    ),
    says(
        Reason.ACCOUNT_STOPPED,
        r"(?:outbound|outgoing) (?:mail|messages?|spam) (?:\w+ ){0,3}(?:disabled|suspended|blocked)|sender (?:\w+ ){0,2}(?:thwarted|suspended)|bad outbound sender|account .{0,20}(?:suspend|block)\w* .{0,30}(?:sending|spam)",
        r"account (?:\w+ ){0,3}(?:paused|disabled for sending|pending approval|under review|blocked from sending)",
        r"sending (?:is |has been )?(?:paused|suspended|disabled) for",
        r"^(?!.*\bspf\b).*not (?:yet )?(?:been )?(?:approved|allowed|authorized) to send(?! (?:e-?mail |mail |messages? )?(?:to|from|as|directly)\b)",
        r"tenant (?:is )?(?:blocked|has been blocked)",
    ),
    # Once somebody has been spoken of, a suspended account is most often theirs.
    says(
        Reason.ACCOUNT_STOPPED,
        r"account (?:\w+ ){0,3}suspended",
        phases=BEFORE_ANYONE | {"data", "body"},
    ),
    says(
        Reason.RELAYING_DENIED,
        r"allowed rcpt ?hosts|not (?:a |an )?(?:local|valid) (?:host|domain) (?:or|for) relay|relay access|relay (?:operation )?rejected|do(?:es)?(?: not|n't) (?:relay|accept mail for (?:that|this) domain)|no relay|relaying (?:to|from|mail) .{0,40}(?:not|denied|prohibited)|domain isn't in my list|tenantattribution|we do not relay|authenticate before (?:sending|relay)|pop before smtp",
        r"relay(?:ing)? (?:access )?(?:is )?(?:not )?(?:denied|permitted|allowed|prohibited)",
        r"unable to relay|(?:cannot|can't|won't|not permitted to|refus\w+ to) relay|not (?:an? )?open relay|relay not",
    ),
    says(
        Reason.TLS_REQUIRED,
        r"must issue (?:a )?starttls|starttls (?:is )?(?:required|first)|tls (?:is )?required|requires? (?:a )?tls|encryption (?:is )?required|without (?:using )?tls|insecure connection",
    ),
    # RFC 4954 (6) and RFC 5248 give these codes to nothing but the log-in, so they speak of it wherever they stand.
    Sign(Reason.LOGIN_FAILED, codes=frozenset({525, 534, 535})),
    Sign(Reason.LOGIN_FAILED, codes=frozenset({432}), statuses=frozenset({"7.12"})),
    Sign(
        Reason.LOGIN_REQUIRED,
        text=re.compile(r"authenticat|authori[sz]ation required|log(?:ged)?[ -]?in\b"),
        codes=frozenset({530}),
    ),
    says(
        Reason.LOGIN_FAILED,
        r"authentication (?:credentials )?(?:failed|invalid|unsuccessful|rejected|failure)|invalid (?:login|credential|user ?name|api key|password)",
        r"(?:username and password|password|credentials?) (?:not accepted|incorrect|is wrong|invalid)|bad (?:username|credentials|login)|login (?:failed|denied|incorrect)",
        phases=BEFORE_ANYONE,
    ),
    says(
        Reason.LOGIN_REQUIRED,
        r"authentication (?:is )?(?:required|needed)|must (?:be )?authenticate|(?:not|un)[ -]?authenticated (?:user|session)|client (?:was |is )?not authenticated|(?:please )?log ?in first|not logged in|\bauth(?:enticate)? first",
        phases=BEFORE_ANYONE | {"rcpt", "data"},
    ),
    says(
        Reason.SENDER_REFUSED,
        r"(?:return|envelope|mail) ?(?:from|sender|address)(?: \S+){0,3} (?:does(?: not|n't) exist|is invalid|not valid|rejected)|(?:invalid|bad|unknown|unresolvable|fake|forged) (?:sender|from|return)|sender (?:domain |address )?(?:must|does(?: not|n't)|could not|couldn't|cannot|has no|denied|rejected|refused|blocked)|address matches? (?:the )?(?:recipient|local)|callout verification|sender callback|from:? (?:header|address|field) (?:\w+ ){0,3}(?:invalid|missing|not)|5321\.mailfrom|rfc ?5322 (?:from|address)",
        r"sender address rejected|sender (?:verif\w+|domain) (?:failed|error)|sender verify|could not verify sender|sender (?:is )?(?:unknown|invalid|not (?:allowed|verified|found))",
        r"(?:from|sender)(?: address| identity)? (?:\w+ ){0,4}not (?:been )?verified|address is not verified|not (?:a )?verified (?:sender|identity|domain)|identities failed the check",
        r"permissions? to send (?:as|on behalf)|not (?:owned|allowed to send (?:as|from))|send ?as ?denied|(?:mail from|return.path|sender) domain (?:\w+ ){0,4}(?:not exist|not found|not resolve|no valid|no mx)|domain of sender",
    ),
    says(
        Reason.NO_REVERSE_DNS,
        r"reverse[- ](?:dns|mapping|record|name|resolution|resolve)|invalid dns (?:mx|ptr|pointer)|no (?:rdns|ptr|pointer)|fix reverse dns|does(?: not|n't) (?:have a )?(?:reverse|resolve (?:back|to a host))|helo .{0,60}(?:does not|doesn't|not) (?:resolve|match|found|exist)|(?:invalid|bad|need fully[- ]qualified|syntactically invalid) (?:helo|ehlo|hostname)|(?:helo|ehlo) (?:command |name |argument |hostname )?(?:rejected|invalid|denied|error)|client host rejected: cannot find your|forward.confirmed",
        r"reverse (?:dns|lookup|hostname|path lookup)|\bptr\b|\brdns\b|cannot find your (?:reverse )?hostname",
    ),
    says(
        Reason.DMARC_FAILED,
        r"\bdmarc\b",
    ),
    says(
        Reason.UNAUTHENTICATED,
        r"authentication[- ]?(?:results|checks?) (?:\w+ ){0,3}fail|(?:email|message|mail) (?:authentication|is not authenticated)|does(?: not|n't) (?:pass|meet) (?:\w+ ){0,4}authentication|arc (?:validation|seal|chain) fail|must pass .{0,30}(?:spf|dkim)",
        r"sender is unauthenticated|unauthenticated (?:email|mail|message|sender)|required authentication level|neither spf nor dkim|(?:must|requires?) (?:\w+ ){0,6}(?:spf|dkim) (?:or|and) (?:spf|dkim)|fail(?:s|ed)? (?:both )?authentication checks|message (?:\w+ ){0,3}(?:not|lacks?) (?:\w+ )?authentic",
    ),
    says(
        Reason.SPF_FAILED,
        r"\bspf\b.{0,60}(?:fail|not pass|did not|didn't|neutral|not authorized|not permitted|not allowed|error|reject|missing|deny)",
        r"(?:fail|not pass|did not|didn't|error|reject).{0,40}\bspf\b|sender policy framework",
    ),
    says(
        Reason.DKIM_FAILED,
        r"\bdkim\b.{0,60}(?:fail|not pass|did not|didn't|invalid|missing|no valid|error|not found|reject)",
        r"(?:fail|not pass|did not|didn't|invalid|missing|no|error).{0,40}\bdkim\b",
    ),
    says(
        Reason.BLOCKLISTED,
        r"(?:rejected|refused|blocked|denied) (?:\w+ ){0,4}(?:based|listed|listing)|(?:found|appears|present) (?:in|on) (?:\S+ ){0,4}(?:block|black|rbl|dnsbl|list of spam)|\bs(?:3140|3150)\b|sender ?score|abusix|mailspike|backscatter\.org|psbl|nixspam|truncate\.gbudb|proofpoint dynamic|ip blocked|ips? (?:address )?(?:\S+ ){0,2}(?:has|have) been (?:temporarily )?(?:blocked|blacklisted|listed)|block(?:ed|ing) (?:this |your |the |by )?(?:ip|sender ip|network|server)|access denied, banned",
        r"block ?list|black ?list|deny ?list|\b(?:rbl|dnsbl|spamhaus|spamcop|barracudacentral|sorbs|uceprotect|invaluement)\b|banned sending ip|(?<!not )listed (?:at|in|on|by) |blocked (?:for|due to) (?:\w+ )?spam|banned sender",
        r"(?:client host|\bip\b|address|\[[0-9a-f.:]+\]|connection) (?:(?!not )\S+ ){0,4}(?:is |are |was |been )?(?:blocked|listed|banned)|blocked (?:using|by \S+ (?:list|rbl))",
    ),
    says(
        Reason.LOW_REPUTATION,
        r"to send (?:e-?)?mail directly to our servers|poor (?:\w+ ){0,2}reputation|(?:ip|domain|sender|network|host|its|your|server's?)(?: \S+)? reputation|reputation[- ](?:based|filter|service|block|too|problem|issue)|(?:bad|suspicious|dynamic|residential|dial-?up|untrusted) (?:ip|host|sender|network|client)|unusual (?:rate|volume|amount|traffic)|not (?:a )?trusted|history of (?:spam|abuse)|dynamic(?:ally)?[- ]?(?:assigned|ip|address|allocated|host)|temporarily deferred due to|complaint(?:s|-)? (?:rate|from)|no smtp (?:service|server) here|you are not welcome|listed as a (?:spam|source)",
        r"(?:low|poor|bad|very low|no) reputation|reputation (?:of|is|score)|user complaints|(?:high|too many) (?:\w+ )?complaints|suspicious due to|our system has detected (?:an unusual|that this message is (?:likely )?(?:suspicious|unsolicited))",
    ),
    # About the message.
    says(
        Reason.NEEDS_SMTPUTF8,
        r"\beai\b|8bit (?:address|local)|(?:eight|8) ?bit .{0,20}(?:address|recipient)",
        r"smtputf8|utf-?8 (?:addresses|sender|recipient)|internationali[sz]ed (?:\w+ )?address|non-ascii (?:\w+ ){0,2}address",
    ),
    says(
        Reason.MALWARE,
        r"attachments? (?:\S+ ){0,6}(?:not (?:accept|permit|allow)\w*|blocked|rejected|refused|prohibit\w*|illegal|dangerous|executable|restricted)|(?:illegal|dangerous|executable|banned|prohibited|unacceptable|forbidden) (?:\S+ ){0,2}(?:attachment|file|extension|content type)|clamav|worm\b|ransomware|dangerous content|macros? (?:not|are|detected)|unsafe content",
        r"\bvirus|malware|trojan|infected|phish|(?:attachment|file) (?:type |name |extension )?(?:\S+ )?(?:is |was |are )?(?:not allowed|blocked|prohibited|banned|forbidden)|blocked (?:attachment|file)|potential security issue",
    ),
    says(
        Reason.MAILBOX_FULL,
        r"(?:mail ?box|inbox|mail ?drop)(?: \S+){0,3} exceed\w* (?:\w+ ){0,2}(?:size|quota|limit)|mail ?box (?:size|storage|quota) (?:limit|exceed)",
    ),
    says(
        Reason.TOO_BIG,
        r"(?:message|mail|e-?mail|content|attachment)s?(?: (?:is|was|are|size|length))? (?:too (?:large|big|long)|larger than|exceeds?|exceeded|over) ?(?:\w+ ){0,6}(?:limit|size|maximum|max|bytes|kb|mb|length|quota for single)?\b(?<!time)|too (?:large|big) (?:a )?(?:message|mail|e-?mail|for)|(?:max|maximum|permitted|allowed|fixed) (?:message|mail|e-?mail|submission) ?(?:size|length)|(?:message|mail|data)(?:'s)? (?:size|length)|(?:size|length) (?:of (?:the |this |your )?(?:message|mail)|exceeds|limit)|rstsizelimit|(?:send|recip|rst)sizelimit|message[- ]?(?:size)?[- ]?limit",
        r"(?:message|mail|content|data)(?: \w+){0,3} (?:exceeds?|exceeded|over) (?:\w+ ){0,4}(?:size|bytes)",
        r"(?:message|mail) (?:is )?too (?:big|large)|message size|size limit|exceeds (?:the )?(?:maximum|fixed|allowed) (?:\w+ )?size",
    ),
    Sign(
        Reason.UNEXPLAINED,  # RFC 5321's own words for any 550: they name three causes at once
        text=re.compile(
            r"mailbox unavailable \(e\.?g|mailbox not found, no access|mailbox unavailable or access denied"
        ),
    ),
    # About the recipient.
    says(
        Reason.RECIPIENT_BUSY,
        r"(?:user|mailbox|account|recipient|inbox)(?: \S+){0,4} (?:is |has )?(?:receiving|received|getting|exceeded) (?:\w+ ){0,3}(?:mail|message|receiv|incoming)\w*(?: \w+)? ?(?:rate|too|limit|quickly|at a)|recipient.{0,30}(?:hourly|daily|rate) (?:message )?receive limit|mailbox (?:is )?(?:locked|in use|busy|currently)|recipientthread|storedrv.deliver.{0,20}(?:thread|concurren)",
        r"(?:receiving|received) (?:mail|messages|email) (?:at a rate|too (?:quickly|fast|many))|recipient (?:\w+ ){0,3}(?:rate|message) limit|too many messages (?:for|to) (?:this|the) (?:recipient|user|mailbox)",
    ),
    says(
        Reason.MAILBOX_FULL,
        r"(?:mail ?box|inbox|in-box|mail ?drop|folder|mail ?file|mailfile|drop)(?:'s)?(?: \S+){0,5} (?:full|filled|over (?:its |the |it's |their )?(?:\w+ )?(?:quota|limit|size)|exceed\w*|too (?:full|large|big))|exceed\w* (?:\S+ ){0,3}(?:allowed |storage |mailbox |disk )?(?:quota|storage|size limit|allocated|mailbox|limit for)|(?:has )?exhausted (?:\w+ )?(?:storage|space|quota)|(?:over|beyond|above) (?:the |its |their |his |it's )?(?:allowed |allocated |storage |maximum |mail |disk |mailbox |account )?(?:quota|storage|limit|capacity)|(?:quota|storage|space)(?: \S+){0,3} (?:exceed\w*|reached|full|exhausted|violation|would be)|(?:no|not enough|insufficient|lack of|out of|low on) (?:\w+ )?(?:space|storage|room|quota)\b(?! in queue| on (?:the )?server)|quota ?exceeded|exceededquota|mbox(?:full| full)|(?:disk|hard|soft|mail|user|storage)[- ]?quota|quota (?:limit|error|usage|check)|mailbox ?full|quotaexceeded|overquota|too much mail (?:data )?stored",
        r"(?:mailbox|inbox|mail ?box|user|account|recipient|maildir|storage|disk)(?: \S+){0,4} (?:is |are |was |has )?(?:\w+ )?(?:full|over ?quota|exceeded|out of (?:storage|space|disk))",
        r"over ?quota|quota (?:is |has been |was )?(?:exceeded|full)|exceed(?:s|ed|ing)? (?:\w+ ){0,4}(?:quota|storage)|not enough (?:storage|disk) space|insufficient (?:disk|mailbox|storage)|mailbox size limit",
    ),
    says(
        Reason.MAILBOX_DISABLED,
        r"never logged (?:on|in)|(?:account|mailbox|user|address|recipient)(?: (?!server|host|connect|message)\S+){0,4} (?:has |have |is |was )?(?:been )?(?:\w+ )?(?:terminated|deleted|removed|cancel\w+|blocked|unavailable due|abandon\w+|dormant|retired|frozen|archived|hibernat\w+|delisted|decommissioned|disused|not been (?:used|activated)|not (?:currently )?active|de-?activated|ceased|not (?:yet )?activated)|account (?:is )?(?:not active|that is disabled|on hold|expired|inactive)|not (?:an )?active (?:user|account|mailbox|address|recipient)|(?:disabled|inactive|expired|dormant|closed|blocked|suspended|locked|deactivated|terminated) (?:e-?mail |mail |user )?(?:mailbox|account|user|recipient|address|customer)|mailbox (?:disabled|inactive|suspended|deactivated|closed|retired)|(?:user|person|employee|addressee|recipient)(?: \S+){0,3} (?:no longer|has left|left the)|is no longer (?:with|at|an? |on|here|used|in use|being|valid|active|receiving)|no longer (?:an? )?(?:employee|valid|active|in service|on (?:this )?(?:server|system)|has an? (?:account|mailbox)|have an)|addressee .{0,20}(?:moved|gone)",
        r"(?:mailbox|account|user|recipient|address)(?: (?!server|host|connect|message|certificate|session|password|relay)\S+){0,5} (?:is |has been |was )?(?:currently |temporarily )?(?:disabled|inactive|deactivated|suspended|discontinued|expired|locked|closed|not active|no longer (?:active|available|in use|valid|accept\w+))",
        r"(?:disabled|inactive|deactivated|suspended|closed) (?:mailbox|account|user|recipient|address)|no longer (?:works|employed|with)",
    ),
    says(
        Reason.UNKNOWN_DOMAIN,
        r"(?:couldn't|could not|can't|cannot|unable to|failed to) (?:find|locate|resolve|look ?up) (?:any |a |the |an? )?(?:(?:host|domain|mx|a|mail exchanger|ip|address|dns)(?: record| name| server)?s?\b)(?: (?:named|for|of|with|called))?|(?:host|domain)(?:name)?(?: (?:is|was))? (?:unknown|not found|invalid|unresolvable|non-?existent)|illegal host|(?:no|without) (?:mx|a|dns|mail exchanger|address|valid mx)(?: or a)? (?:records?|hosts?|entry|data)|all relevant mx records point to (?:non-?existent|unresolvable)|mx records? (?:point\w* )?(?:to )?(?:non-?existent|invalid|not found)|name or service not known|no (?:such )?(?:domain|host)\b|domain(?: name)?(?: \S+){0,3} (?:not found|does(?: not|n't) (?:exist|resolve|appear)|could(?: not|n't) be (?:found|resolved)|has no (?:mail|mx|valid)|is (?:not (?:valid|registered|hosted)|expired|invalid|unknown))|dns (?:domain )?\W?(?:domain )?(?:does not exist|nonexistentdomain|entry not found)|nonexistentdomain|non-?existent (?:\w+ )?(?:domain|host)s?|unknown (?:mail )?(?:domain|host)|unroute?able|host not found|bad destination (?:system|host|mailbox address domain)|not a valid domain|cannot resolve|can't resolve",
        r"(?:no such|unknown|bad|invalid|non-?existent) (?:destination |recipient )?(?:domain|host)\b|(?:domain|host)(?: or domain name)?(?: name)?(?: \S+){0,3} (?:not found|does(?: not|n't) exist|unknown)|nxdomain|unroute?able (?:address|mail domain|domain)",
    ),
    says(
        Reason.NO_MAIL_DOMAIN,
        r"nullmx|does(?: not|n't) (?:handle|receive|take|want) (?:e-?mail|mail)|(?:domain|host|server)(?: \S+){0,2} (?:does(?: not|n't)|will not|won't) (?:accept|receive|handle|take)(?: any)? (?:e-?mail|mail|messages)|mx .{0,20}(?:is )?(?:localhost|0\.0\.0\.0|\. |empty)|recipient address has null",
        r"null ?mx|domain (?:\S+ )?(?:does not|doesn't) accept (?:e-?)?mail|host (?:does not|never) accepts? mail",
    ),
    # Exchange Online's word for nobody there; with another status it is Postfix's for somebody we may not write to.
    Sign(
        Reason.UNKNOWN_MAILBOX,
        text=re.compile("recipient address rejected: access denied"),
        statuses=frozenset({"4.1", "1.1"}),
    ),
    says(
        Reason.UNKNOWN_MAILBOX,
        r"(?:recip(?:ient)?notfound|adr\.\w*notfound|mapi_e_not_found|useraddressunknown)|unknown (?:user|recipient|mailbox|address|account|e-?mail|local|alias|member|receiver|to address)|(?:user|recipient|mailbox|address|account|addressee|local[- ]part|alias|receiver|e-?mail)(?: name)?[:,-]? ?(?:is |was )?(?:unknown|un-?known|not known|undefined|unrecogni[sz]ed|invalid|not found|nonexistent|non-existent|does(?: not|n't) exist|not exist|doesnt exist|isn't valid|not valid|no such)",
        r"no (?:such )?(?:a )?(?:user|mailbox|recipient|person|account|address|addressee|alias|one|name|local user|mail ?drop|e-?mail|customer|subscriber|member|mail box|inbox|entry)(?: \S+){0,3}? ?(?:here|by that|by this|with that|with this|named|found|at this|in (?:this|the|our|my)|exists?|defined|known|available|on this|for (?:this|that)|of that|called|matching|of this)|no (?:such|matching) (?:\w+ )?(?:user|mailbox|recipient|person|account|address|addressee|alias|name|e-?mail|entry|customer|login|box|contact)|no (?:local )?mailbox|no account|there is no (?:\w+ )?(?:user|mailbox|account|one|such)|nobody (?:here )?(?:by|with|of)",
        r"not (?:a |an )?(?:known|valid|existing|recogni[sz]ed|real|registered|local|defined|legitimate|our) (?:\w+ )?(?:user|mailbox|recipient|account|address|addressee|customer|alias|e-?mail)|(?:is|was|were|are) not (?:\w+ )?(?:known|found|listed|recogni[sz]ed|registered|valid|a valid|hosted|present|defined|local|a user|a member) ?(?:to|at|in|on|here|with|by|as)? ?(?:this|our|the|my|domino|public|us|recipient|user|mailbox|address|here|server|system)?\b|not (?:listed|found) in (?:\S+ ){0,3}(?:directory|name|address book|table|database|domino|ldap)|did not (?:match|find|reach) (?:any|a) (?:user|recipient|mailbox|address|alias)|(?:couldn't|could not|can't|cannot|unable to|can not|unable|failed to) (?:be )?(?:find|found|locate|located|verify|identify|recogni[sz]e|look ?up) (?:\S+ ){0,3}(?:user|mailbox|recipient|account|address|alias|addressee|person|name|directory)|(?:user|recipient|address|mailbox|account|addressee)(?: \S+){0,6} (?:wasn't|was not|weren't|couldn't be|could not be|can't be|cannot be|can not be|not) (?:found|recogni[sz]ed|located|known|resolved|identified|verified|matched|be found)|recipient (?:name )?(?:is )?(?:not |un)recogni[sz]ed|unknown or illegal|(?:invalid|illegal|incorrect|wrong|bogus|bad|undeliverable|unresolvable|inexistent|not existing|nonexisting|fictitious|non-?existing) (?:\w+ ){0,2}(?:user|mailbox|recipient|account|address|addressee|alias|e-?mail)s?|no valid (?:recipient|address|mailbox)|mailbox (?:was |is )?(?:not found|not exist|unknown|invalid|does not exist|not here|nonexistent)|delivery to (?:\S+ )?(?:unknown|non)|user_unknown|userunknown|usernotfound|user not (?:found|exist|known|here|in)|bounced address|recipient verify failed|verify (?:failed|recipient)|(?:is unknown|unknown at|unknown in|unknown here|unknown on)\b",
        r"(?:no such|unknown|invalid|non-?existent|unrecogni[sz]ed|bad|undeliverable) (?:local |virtual |destination |delivery |e-?mail )?(?:user|mailbox|recipient|person|account|address|local part|alias)",
        r"(?:user|mailbox|recipient|account|address|inbox|person|alias)(?: \S+){0,6} (?:is |was )?(?:unknown|invalid|nonexistent|not (?:a )?(?:known|found|exist\w*|valid|listed|registered|local|here|in (?:our|the) \w+)|does(?: not|n't) (?:exist|have)|can(?:not|'t) be found|couldn't be found|could not be found|not exist)",
        r"(?:user|recipient|mailbox|address|account)(?: \S+){0,4} (?:doesn't|does not|didn't) (?:exist|have an?)|no mailbox (?:here|by that|found)|not our customer|not a (?:valid )?(?:user|mailbox|recipient)|no (?:valid )?recipients?\b(?! limit)|user(?:name)? not (?:found|known)|unable to find recipient|recipient not found",
        r"recipient address rejected: (?:undeliverable|user unknown|unverified)|address(?: \S+)? unknown|mailbox (?:unavailable|not available) or (?:does|not)|who are you looking for",
    ),
    says(
        Reason.RECIPIENT_REFUSES,
        r"recipient(?:'s)? preferences?|(?:not|isn't|aren't|is not|are not) (?:\w+ ){0,2}(?:allowed|permitted|authori[sz]ed) (?:to )?(?:send|post|write|mail|e-?mail|contact|deliver)(?: \S+){0,4} (?:to|recipient|group|list|user|this)|restricted (?:recipient|group|list|address|to)|allowed[- ]senders? list|(?:only|just) (?:accepts?|allows?|members|subscribers|internal|authenticated)|(?:rejected|refused|blocked|denied|declined) (?:by|at) (?:the )?(?:recipient|user|addressee|owner|receiver|end user)|sender (?:is |was |has been )?(?:blocked|rejected|denied) by|(?:recipient|user|addressee|owner)(?: \S+){0,3} (?:has )?(?:blocked|block|refused|declined|rejected) (?:mail|e-?mail|message|your|you|this|the sender|messages)|resolver\.rst\.(?:not|auth|sender)|notauthorized(?:for)?|senderrestriction|authrequired|not a (?:list )?(?:member|subscriber)|members? only|post(?:ing)?s? (?:to|from) .{0,30}(?:not allowed|restricted|denied)|moderat(?:ed|or)|(?:does not|doesn't|not) accept(?:ing)? (?:mail|messages|e-?mail) from (?:you|this|your|unknown|external|outside|the internet|non)|don't accept|not accepting (?:mail|messages)|user (?:filter|rule)|sender (?:\S+ )?not (?:on|in) (?:\w+ )?(?:list|whitelist)",
        r"(?:recipient|user|mailbox) (?:\w+ ){0,4}(?:does(?: not|n't) (?:want|wish|accept)|refuse[sd]?|only accepts|rejects)|blocked by (?:the )?(?:recipient|user)|(?:recipient|user)(?:'s)? (?:block|deny|personal) ?(?:list|rule)|sender not (?:on|in) (?:the )?(?:allow|white)|delivery restrictions|restricted to authenticated",
    ),
    says(
        Reason.BAD_ADDRESS,
        r"(?:address|recipient|mailbox|local part|user ?name)(?: \S+){0,3} (?:syntax|malformed|is not rfc|contains? (?:illegal|invalid|bad)|illegal|format)|(?:illegal|invalid|bad|improper|wrong) (?:\w+ )?(?:character|format|syntax)(?: \S+){0,3} (?:address|recipient|mailbox|local)|mailbox name not allowed|(?:illegal|bad|missing) (?:address|domain) (?:syntax|format|literal)|syntax (?:error|problem) in (?:\w+ )?(?:mailbox|recipient|address)|must contain a domain|missing (?:domain|@)|fully[- ]qualified (?:address|recipient)|ambiguous (?:recipient|address|user|mailbox)|(?:recipient|address|mailbox)(?: \S+){0,3} ambiguous|adr\.\w*invalid\w*|(?:non ?|not )unique",
        r"(?:bad|invalid|malformed) (?:\w+ )?address syntax|syntax error in (?:\w+ )?address|malformed address|address (?:\w+ ){0,2}not rfc|not a valid rfc",
    ),
    # About the way.
    says(
        Reason.GREYLISTED,
        r"gr[ea]y ?list|postgrey|try(?:ing)? again (?:in|after) (?:\w+ )?(?:\d+|a few|few|five|ten|some|several) ?(?:seconds|minutes|secs|mins|hour)|first (?:time|contact)|(?:early|too soon|too early|earlier) retry|retry (?:in|after|later) \d+|wait \d+ (?:seconds|minutes|secs)|not yet authori[sz]ed to deliver|unknown sender.{0,40}retry",
        r"gr[ea]y-?list|delayed? (?:by )?(?:sender )?gr[ea]y|please (?:re)?try again in \d+|come back (?:in|later)",
    ),
    says(
        Reason.RATE_LIMITED,
        r"too many (?:\w+ ){0,3}(?:connections?|messages|emails|mails|recipients|sessions|requests|transactions|commands|errors)|rate[ -]?limit|throttl|(?:sending|send|connection|maximum sending) rate|unusual rate|unexpected volume|too (?:fast|quickly|frequent)|(?:connection|recipient|message)s? (?:\w+ )?limit (?:exceeded|reached)|slow(?:ing)? down|mail flood",
    ),
    says(
        Reason.LOOP,
        r"loop(?:ing)? (?:detected|back|found|in)|(?:mail|message|local|delivery|forward\w*|dns|mx|hop) ?loop|too many received|(?:hop|received)[- ]?(?:count|limit|header)|loopdetected|hopcount|loops? back to (?:me|myself|itself)|looping",
        r"too many (?:hops|received)|(?:mail|routing|forwarding) loop|loops? (?:back|detected)|hop count",
    ),
    says(
        Reason.UNREACHABLE,
        r"(?:unable|failed|failure|could not|couldn't|can't|cannot|not able|wasn't able) (?:to )?(?:be )?(?:establish\w*|open|make|connect\w*|contact\w*|reach\w*|deliver to (?:the )?(?:remote|mail) (?:host|server))|connection (?:to (?:\S+ ){0,4})?(?:timed|refused|reset|dropped|lost|closed|fail\w*|attempt|error|was)|connect(?:ion)?[- ]?(?:timeout|refused|error|failure)|(?:server|host|mx|system|site)(?:s)?(?: \S+){0,4} (?:not respond\w*|unreachable|not reachable|down|did(?: not|n't) respond|unavailable|not available|not responding|offline|could not be (?:reached|contacted))|not responding|no (?:answer|response|reply) from|no host to|(?:read|write|socket|tcp|network|i/o) (?:error|timeout|failure)|(?:lost|broken) (?:connection|pipe)|dropped connection|unexpectedly (?:closed|dropped|disconnect)|greeting failed|handshake fail|(?:tls|ssl)(?: \S+){0,4} (?:fail\w*|error|timeout|not available)|(?:dns|name server|cname|mx|name|resolver?)(?: \S+){0,3} (?:lookup )?(?:fail\w*|timeout|timed|error|unavailable|temporar\w*|servfail)|servfail|no route|host is unreachable|routing (?:error|problem)|couldn't find any|could not find a gateway",
        r"connection (?:timed out|refused|reset|dropped|lost|closed|failed)|could ?n[o']t connect|unable to connect|network (?:is )?unreachable|no route to host|(?<!retry )timed? ?out|host (?:\S+ )?(?:unreachable|is down|not responding)|temporary (?:dns|lookup|resolution)|(?:dns|mx|name service)(?: \w+){0,2} (?:fail|error|timed|timeout)",
    ),
    says(
        Reason.GAVE_UP,
        r"(?:has |have )?been (?:in|on) (?:the )?queue (?:too|for)|undelivered (?:for|after) (?:\w+ )?\d+|(?:not|undelivered|could not be) (?:be )?delivered (?:\w+ ){0,3}(?:for|after|within|in) (?:\w+ )?\d+ (?:hour|day|minute|second)|(?:max|maximum|retry) (?:\w+ )?(?:retries|attempts|lifetime|time|count|age|duration)(?: \w+){0,2} (?:expired|exceeded|reached)|number of (?:\w+ )?(?:retries|attempts)|too many (?:delivery )?(?:attempts|retries)|(?:time|period)[- ]?(?:out)? (?:for|to) (?:deliver\w*|live) (?:\w+ )?(?:expired|exceeded)|delivery (?:expired|timed out)|message(?:\w* )?expired|(?:no|not) (?:going to|more) (?:try|attempt|retr)\w*",
        r"(?:delivery|message|retry|queue) (?:time|lifetime|period|timeout)(?: \w+){0,2} (?:expired|exceeded)|message (?:has )?expired|retry time(?:out)? exceeded|too long (?:in|on) (?:the )?queue|gave up|giving up|could not be delivered for \d+|retry timeout",
    ),
    says(
        Reason.CONTENT_REFUSED,
        r"(?:identified|detected|classified|considered|flagged|marked|recogni[sz]ed|looks?|appears?|believe\w*|determined)(?: \w+){0,5} (?:as |like |to be )?(?:\w+ )?(?:spam|junk|bulk|unsolicited)|spam[- ]?(?:like|detect\w*|filter\w*|block\w*|check|assassin|suspected|rejected|policy|level|rules|engine|threshold|characteristics)|anti-?spam|(?:is|as|considered|likely|possible|probable|suspected|high probability of) spam|spam\b|cloudmark|rspamd|bayes|(?:content|message|body|subject|url|link|header|attachment)(?: \S+){0,4} (?:blocked|rejected|refused|filtered|denied|violat\w*|inappropriate|banned|prohibited|unacceptable)(?: \w+){0,3} (?:content|filter|spam|reasons|text|words)|(?:banned|offensive|inappropriate|objectionable|restricted|prohibited) (?:content|word|subject|text|phrase)|message[- ]?(?:content )?(?:filtered|looks)|content (?:is )?(?:not acceptable|unacceptable|denied|blocked|policy|violation|analysis)|ube\b|\bpharm|advertis\w*",
        r"\bspam\b|spam(?:my|miness|-| )(?:content|score|message)|unsolicited|\bjunk\b|(?:message|content|mail)(?: \w+){0,4} (?:rejected|refused|blocked|denied)(?: \w+){0,4} content|content (?:rejected|filter|refused|restrictions?)|(?:blocked|rejected) (?:by|due to|for) (?:\w+ ){0,2}(?:content|filter)|\b(?:surbl|uribl|dbl)\b|bulk mail|suspicious (?:content|message|link|url)",
    ),
)

# What says little: read only where nothing else does.
LOOSE: tuple[Sign, ...] = (
    says(
        Reason.POLICY,
        r"\bpolic(?:y|ies)\b|administrative(?:ly)? (?:prohibit|den|reject|block)\w*|(?:access|permission) (?:is )?denied|not (?:accepted|permitted|allowed|authori[sz]ed)\b|prohibited|forbidden|(?:message|mail|e-?mail|transaction|delivery|sender|content)(?: \S+){0,3} (?:rejected|refused|blocked|denied|declined|bounced by administrator)\b|rejected (?:by|for|due|because)|rule imposed|site administrator|prohibit\w*|content filter",
    ),
    Sign(
        Reason.UNKNOWN_MAILBOX,
        text=re.compile(r"mailbox (?:is )?(?:unavailable|not available)"),
        codes=frozenset({550, 553}),
        statuses=frozenset({"", "0.0", "1.0", "2.0", "3.0", "4.0", "5.0"}),  # 7.x names a policy
        phases=frozenset({"rcpt", "body", "returned"}),
    ),
    says(
        Reason.SERVER_BUSY,
        r"(?:server|service|system|resources?|host|facility)(?: \S+){0,3} (?:busy|not available|unavailable|overloaded|temporarily|shutting down|closing|full|too high|down for|under maintenance)|temporar(?:y|ily) (?:\w+ ){0,3}(?:fail\w*|error|problem|unavailable|reject\w*|deferred|suspend\w*|refus\w*|lookup|local|system|server|out|unable|not)|(?:internal|system|server|local|software|configuration|database|ldap|processing) (?:\w+ )?(?:error|fault|failure|problem|misconfigur\w*)|local (?:error|problem)|try(?:ing)? (?:again|later|it later)|(?:please )?retry later|insufficient (?:system )?(?:resources|memory|system storage)|load (?:too|is|average)|out of memory|undergoing maintenance|maintenance",
    ),
)
