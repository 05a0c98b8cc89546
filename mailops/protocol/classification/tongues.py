"""How servers say the commonest reasons in other languages than English: a word for a thing, near a word for its trouble.

Stems of all tongues stand in one table, since no sentence mixes them. A blank space stands for a few letters of anything,
`$` for the end of a word; where a script parts its words, a stem stands at a word's beginning.
"""

import re

from mailops.protocol.classification.folding import any_of
from mailops.protocol.classification.meanings import Reason

_GAP = r"[^.!?。\n]{0,40}?"
_BETWEEN = r"[^.!?。\n]{0,70}?"


def _stems(*tongues: str) -> str:
    stems = (stem for tongue in tongues for stem in tongue.split("|"))
    return any_of(stems, gap=_GAP, begins_word=True)


def _pattern(*tongues: str) -> re.Pattern[str]:
    return re.compile(_stems(*tongues))


def _near(things: str, troubles: str, *phrases: str) -> re.Pattern[str]:
    """Return a pattern of a thing and its trouble in one sentence, in either order, or of a whole phrase."""
    pairs = f"(?:{things}){_BETWEEN}(?:{troubles})|(?:{troubles}){_BETWEEN}(?:{things})"
    return re.compile("|".join([pairs, _stems(*phrases)] if phrases else [pairs]))


_MAILBOX = _stems(
    "postfach|mailbox|speicher|kontingent|boîte|messagerie|espace|buzón|bandeja|casilla|cuota|quota|cota|casella|cassetta|spazio|caixa|correio|espaço|postvak|postbus|brievenbus|quotum",
    "skrzynk|schránk|schránok|postafiók|postaláda|fiók|inkorg|postlåd|brevlåd|postkass|postboks|innboks|indbakke|postilaatik|kiintiö|postkast|pastkast|dėžut|căsuț|bústia|sanduč|predal",
    "ящик|квота|квоту|скриньк|кутия|сандуче|kutusu|kotası|kota$|γραμματοκιβ|θυρίδα|εισερχομ",
    "邮箱|信箱|郵箱|收件箱|空间|空間|容量|配额|メールボックス|受信箱|受信トレイ|受信者|메일함|편지함|사서함|용량|صندوق|علبة|حصة|תיבת|התיבה|תיבה|กล่อง|hộp thư|dung lượng|kotak|peti$|मेलबॉक्स",
)
_FULL = _stems(
    "voll$|volle$|vol$|überfüllt|überschritten|erschöpft|plein|saturé$|saturée|dépassé|atteint|insuffisan|llen|excedid|superad|agotad|sin espacio|insuficiente|pien|esaurit|superat|chei|lotad|overschreden",
    "pełn|przepełnion|przekroczon|plná|plný|přeplněn|preplnen|překročen|prekročen|megtelt|tele$|full$|betelt|fylld|fuld|fyldt|täynnä|ylitt|täis|pilna|perpild|pilna|depășit|plina|plină|plena|puno|puna|poln$",
    "переполн|полон|заполнен|превышен|переповнен|заповнен|перевищ|пълна|препълнен|пуно|dolu|doldu|aşıldı|aştı|πλήρ|γεμάτ|υπέρβαση",
    "已满|已滿|满了|滿了|超出|不足|一杯|いっぱい|満杯|超過|超え|オーバー|가득|꽉|초과|부족|ممتلئ|امتل|تجاوز|מלאה|מלא|חרג|เต็ม|đầy|vượt|penuh|melebihi|भर",
)
_SOMEBODY = _stems(
    "benutzer|empfänger|adress|konto|teilnehmer|utilisateur|destinatair|destinatari|destinatár|compte|boîte|usuari|direcci|cuenta|buzón|utente|indirizzo|casella|utilizador|endereço|conta$|caixa|gebruiker|ontvanger|geadresseerde|mailadres|postadress|mailbox|postfach",
    "użytkownik|odbiorc|adres|konto|skrzynk|uživatel|příjemc|schránk|používateľ|príjemc|účet|felhasználó|címzett|cím$|utilizator|användar|mottagar|bruker|mottaker|bruger|modtager|käyttäj|vastaanottaj|osoit|sähköpostiosoit|kasutaja|aadress|lietotāj|vartotoj|korisnik|uporabnik",
    "пользовател|получател|адрес|ящик|аккаунт|учетная запис|учетной запис|користувач|одержувач|отримувач|потребител|скриньк|получател|kullanıcı|alıcı|hesap|hesab|posta kutusu|χρήστη|παραλήπτη|διεύθυνσ|λογαριασμ",
    "ユーザ|宛先|アドレス|受信者|メールボックス|アカウント|用户|收件人|收件者|收信人|邮箱|信箱|帐号|账号|帳號|账户|帐户|地址|使用者|사용자|수신자|수신인|주소|계정|받는 사람",
    "المستخدم|المستلم|عنوان|الحساب|کاربر|נמען|משתמש|כתובת|תיבה|חשבון|ผู้ใช้|ผู้รับ|ที่อยู่|บัญชี|người dùng|người nhận|địa chỉ|tài khoản|pengguna|penerima|alamat|akun|उपयोगकर्ता|पता|प्राप्तकर्ता",
)
_MISSING = _stems(
    "unbekannt|nicht bekannt|existiert nicht|nicht gefunden|nicht vorhanden|gibt es nicht|gibt es hier nicht|ungültig|nicht existier|inconnu|n'existe pas|introuvable|inexistant|invalide$|pas été trouvé",
    "desconocid|desconegut|no existe|inexistent|no encontrad|no se encontró|no se ha encontrado|no se pudo encontrar|inválido$|inválida$|inválidos$|no es válid|sconosciut|inesistent|non esiste|non trovat|stato trovato|non valid|desconhecid|não existe|não encontrad|não foi encontrad|onbekend|bestaat niet|niet gevonden|ongeldig",
    "nieznan|nie istnieje|nie znaleziono|nie można odnaleźć|nie ma takiego|nieprawidłow|niepoprawn|neexistuj|neznám|nenalezen|nebyl nalezen|nepodařilo najít|nenájden|neplatn|nem létezik|ismeretlen|nem található|érvénytelen|nu există|necunoscut|nu a fost găsit|finns inte|okänd|hittades inte|inte att hitta|ogiltig|ukjent|finnes ikke|finner ikke|ukendt|findes ikke|ikke fundet|ugyldig|tuntemat|ei löydy|ei löytynyt|ei ole olemassa|ei leita|tundmatu|nezināms|neegzistuoja|ne postoji|nepoznat|ne obstaja",
    "не найден|не существует|не существ|неизвестн|не зарегистрирован|нет такого|недействительн|неверн|не существовал|не існує|не знайден|невідом|не съществува|неизвестен|не постои|bulunamadı|bilinmeyen|geçersiz|mevcut değil|bir kullanıcı yok|böyle yok|δεν υπάρχει|άγνωστ|δεν βρέθηκε|εύρεση",
    "存在しません|存在しない|見つかりません|不明|おりません|無効|誤り|不存在|找不到|未找到|有误|有誤|错误|錯誤|无效|無效|未知|查无|查無|존재하지|찾을 수 없|없습니다|없는|알 수 없",
    "غير موجود|لا يوجد|العثور|غير صحيح|غير معروف|وجود ندارد|לא קיים|אינו קיים|לא נמצא|לא ידוע|ไม่พบ|ไม่มี|không tồn tại|không tìm thấy|không hợp lệ|tidak ditemukan|tidak dapat ditemukan|tidak ada|tidak dikenal|tidak wujud|मौजूद नहीं|नहीं मिल",
)
_OFF = _stems(
    "deaktiviert|gesperrt|geschlossen|gelöscht|inaktiv|abgeschaltet|stillgelegt|nicht mehr aktiv|nicht mehr gültig|nicht mehr verwendet|désactivé|suspendu|inactif|bloqué|fermé|supprimé|résilié|n'est plus|desactivad|deshabilitad|suspendid|inactiv|bloquead|cancelad|cerrad|eliminad|dado de baja",
    "disabilitat|disattivat|sospes|bloccat|chius|eliminat|non più attiv|desativad|suspens|inativ|encerrad|uitgeschakeld|geblokkeerd|opgeheven|gesloten|niet meer actief|zablokowan|nieaktywn|zamknięt|usunięt|wyłączon|zablokován|zrušen|neaktivn|deaktivov|letilt|megszűnt|dezactivat|suspendat|inaktiver|avstängd|spärrad|stengt|deaktivert|lukket|nedlagt|suljettu|poistettu|estetty",
    "заблокирован|отключен|деактивирован|удален|закрыт|неактив|заблокован|відключен|видален|devre dışı|kapatıl|askıya|silin|απενεργοποι|停用|禁用|冻结|凍結|注销|註銷|关闭|關閉|锁定|鎖定|利用停止|使用停止|解約|無効になって|退会|휴면|정지|중지|해지|탈퇴|معطل|موقوف|محظور|מושבת|חסום|ถูกระงับ|ถูกปิด|bị khóa|bị vô hiệu|dinonaktifkan|diblokir",
)
_SENDER = _stems(
    "absender|expéditeur|remitente|mittente|remetente|afzender|nadawc|odesílatel|odosielateľ|отправител|відправник|подател|gönderen|avsändar|avsender|afsender|lähettäj|feladó|expeditor|αποστολέα",
    "发件人|寄件者|寄件人|送信者|差出人|보낸 사람|발신자|المرسل|שולח|ผู้ส่ง|người gửi|pengirim",
)
_DOMAIN = _stems(
    "domain|domäne|domaine|dominio|domínio|domein|domen|domén|домен|域名|网域|網域|ドメイン|도메인|alan adı|النطاق|דומיין|โดเมน|tên miền|hôte$|rechner",
)
_MESSAGE = _stems(
    "nachricht|mail|message|mensaje|messaggio|mensagem|bericht|wiadomoś|zpráv|správ|üzenet|mesaj|meddeland|melding|meddelelse|viesti|письм|сообщени|повідомлен|ileti|μήνυμα|größe|taille|tamaño|dimension|tamanho|grootte|rozmiar|velikost|storlek|størrelse|размер|розмір|boyut",
    "邮件|郵件|信件|附件|メール|メッセージ|添付|サイズ|大小|메일|메시지|첨부|크기|الرسالة|הודעה|ข้อความ|จดหมาย|thư|pesan",
)
_TOO_BIG = _stems(
    "zu groß|zu gross|größer als|überschreitet|größe überschritten|trop volumineu|trop gros|trop grand|trop lourd|dépasse|demasiado grande|tamaño supera|tamaño excede|troppo grande|dimensioni superano|muito grande|grande demais|te groot|za duż|zbyt duż|przekracza|příliš velk|překračuje|príliš veľk|túl nagy|prea mare|för stor|överskrider|for stor|overskrider|liian suur",
    "слишком больш|слишком велик|превышает допустим|превышает макс|завелик|перевищує|çok büyük|πολύ μεγάλ|过大|太大|過大|大きすぎ|サイズ超過|サイズを超|너무 크|너무 큽|크기 초과|크기가 초과|كبيرة جد|גדול מדי|ใหญ่เกิน|quá lớn|terlalu besar|超过大小|超過大小|超过限制",
)
_PERMISSION = _stems(
    "nicht berechtigt|keine berechtigung|pas l'autorisation|pas autorisé|tiene permiso|no autorizad|dell'autorizzazione|non autorizzat|tem permissão|não autorizad|geen toestemming|uprawnień|nemáte oprávnění|inte behörighet|ikke tilladelse|ikke tillatelse|ei oikeutta",
    "нет разрешения|нет прав|немає дозволу|izniniz yok|権限がありません|无权|無權|没有权限|沒有權限|권한이 없",
)
_TOO_MANY = _stems(
    "zu viele|trop de|demasiad|troppi|troppe|muitos|muitas|te veel|zbyt wiele|příliš mnoho|túl sok|prea multe|för många|for mange|liian monta|слишком много|забагато|çok fazla|过多|太多|過多|频繁|頻繁|多すぎ|너무 많|過於",
)
_TRAFFIC = _stems(
    "verbindung|nachricht|empfänger|connexion|message|destinataire|conexion|conexão|mensaje|destinatari|conness|messagg|mensage|verbinding|bericht|połącze|wiadomoś|spojení|zpráv|anslutning|meddelan|соединени|подключени|сообщени|писем|bağlantı|ileti|连接|連線|邮件|郵件|收件人|接続|メール|宛先|연결|메일|发送|發送",
)

# Read from the top; the first that fits decides.
TONGUES: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.BLOCKLISTED,
        _pattern(
            "auf der sperrliste|schwarze liste|schwarzen liste|liste noire|lista negra|lista nera|zwarte lijst|czarna lista|czarnej liście|černé listině|svarta listan|черный список|черном списке|чёрном списке|kara liste|黑名单|黑名單|ブラックリスト|블랙리스트",
        ),
    ),
    (Reason.MALWARE, _pattern("вирус|вірус|病毒|ウイルス|ウィルス|바이러스|wirus|فيروس|וירוס|ไวรัส|ιός")),
    (Reason.MAILBOX_FULL, _near(_MAILBOX, _FULL, "speichergrenze überschritten|límite de almacenamiento|容量オーバー|容量超過|容量制限")),
    (Reason.TOO_BIG, _near(_MESSAGE, _TOO_BIG)),
    (Reason.RATE_LIMITED, _near(_TOO_MANY, _TRAFFIC)),
    (Reason.SENDER_REFUSED, _near(_SENDER, _MISSING)),
    (Reason.UNKNOWN_DOMAIN, _near(_DOMAIN, _MISSING)),
    (Reason.MAILBOX_DISABLED, _near(_SOMEBODY, _OFF)),
    (
        Reason.UNKNOWN_MAILBOX,
        _near(
            _SOMEBODY,
            _MISSING,
            "kein solcher benutzer|kein postfach|geen gebruiker|nie ma takiego|нет такого|такого пользователя|宛先不明|あて先不明|使われておりません|查无此人|查無此人|无此用户|無此使用者|無此收件|无此收件|해당 사용자|böyle bir kullanıcı|böyle bir adres",
        ),
    ),
    (Reason.RECIPIENT_REFUSES, _near(_SOMEBODY, _PERMISSION)),
    (
        Reason.CONTENT_REFUSED,
        _pattern(
            "als spam|spam-verdacht|spamverdacht|comme spam|comme indésirable|courrier indésirable|pourriel|como spam|correo no deseado|posta indesiderata|come spam|é spam|lixo eletrônico|als ongewenst|jako spam|za spam|som skräppost|som spam|roskaposti|kéretlen|nevyžádan",
            "спам|нежелательн|垃圾邮件|垃圾郵件|迷惑メール|スパム|스팸|istenmeyen|spam olarak|ανεπιθύμητ",
        ),
    ),
    (
        Reason.GAVE_UP,
        _pattern(
            "mehreren versuchen|nach mehr als tagen|plusieurs tentatives|varios intentos|vari tentativi|várias tentativas|meerdere pogingen|wielu próbach|několika pokusech|нескольких попыток|多次尝试|多次嘗試|여러 번 시도"
        ),
    ),
    (
        Reason.UNREACHABLE,
        _pattern(
            "verbindung abgelehnt|verbindung fehlgeschlagen|nicht erreichbar|zeitüberschreitung|connexion refusée|délai dépassé|injoignable|conexión rechazada|tiempo de espera|connessione rifiutata|conexão recusada|tempo esgotado",
            "verbinding geweigerd|połączenie odrzucone|spojení odmítnuto|соединение не установлено|превышено время|连接超时|连接失败|连接被拒绝|無法連線|无法连接|接続できません|タイムアウト|연결할 수 없|응답하지 않",
        ),
    ),
)  # fmt: skip

# What says little: read only where nothing else does.
LOOSE_TONGUES: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.POLICY,
        _pattern(
            "richtlinie verletzt|richtlinien|aus richtlinien|durch richtlinie|politique de sécurité|raisons de sécurité|règle de sécurité|política de|políticas de|por política|motivi di sicurezza|politica di|beleid|polityka bezpieczeństwa|политик",
            "策略拒绝|安全策略|被拒收|拒收|拒绝接收|被拒绝|拒絕接收|ポリシー|受信を拒否|受信拒否|정책|수신 거부|수신거부",
        ),
    ),
    (
        Reason.SERVER_BUSY,
        _pattern("später erneut|später noch einmal|plus tard|más tarde|più tardi|mais tarde|later opnieuw|spróbuj później|zkuste později|försök senare|prøv igen senere|prøv igjen senere|yritä myöhemmin|попробуйте позже|повторите позже|daha sonra|稍后再试|稍後再試|後ほど|しばらくして|나중에 다시"),
    ),
)  # fmt: skip
