"""Invented secrets of every kind, in every notation: no part of any is left.

They are assembled from parts, so that no secret scanner reports them.
"""

import base64
import html
import json
import random
import string
import urllib.parse

import pytest

from guance_chatgpt_monitor.core.content.redaction import Redactor

LONG = 16_384
REDACTOR = Redactor()
CHOOSER = random.Random(20)
PASSWORD = "Hunter2!x"
SECRET = "Zq8" + "vT3mK9pL2wX7"
HEX = "9f86d081884c7d65" + "9a2feaa0c55ad015"
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


@pytest.fixture(autouse=True)
def _the_same_keys_in_any_order() -> None:
    """One key in many thousands is random and looks like a name: none of these may be that one."""
    CHOOSER.seed(1)


def redact(text: str) -> str:
    return REDACTOR.redact(text, LONG)


def made_of(alphabet: str, length: int) -> str:
    return "".join(CHOOSER.choice(alphabet) for _ in range(length))


ALNUM = string.ascii_letters + string.digits
LOWER_HEX = "0123456789abcdef"


def is_left(text: str, secret: str, n_chars: int = 6) -> bool:
    """Whether `text` contains `n_chars` consecutive characters of the secret, or all of a shorter one."""
    n_chars = min(len(secret), n_chars)
    return any(secret[n : n + n_chars] in text for n in range(len(secret) - n_chars + 1))


# -- keys by their format ----------------------------------------------------------------------------

# Prefix, and alphabet and length of the rest.
FORMS = [
    ("sk-proj-", ALNUM, 48), ("sk-svcacct-", ALNUM, 40), ("sk-ant-api03-", ALNUM, 60), ("sk-or-v1-", LOWER_HEX, 64),
    ("gsk_", ALNUM, 52), ("xai-", ALNUM, 80), ("pplx-", ALNUM, 48), ("r8_", ALNUM, 37), ("nvapi-", ALNUM, 64),
    ("hf_", ALNUM, 34), ("tgp_v1_", ALNUM, 43), ("csk-", ALNUM, 48), ("pcsk_", ALNUM, 60), ("tvly-", ALNUM, 32),
    ("jina_", ALNUM, 60), ("lsv2_pt_", LOWER_HEX, 40), ("AKIA", string.ascii_uppercase, 16), ("LTAI", ALNUM, 20),
    ("AKID", ALNUM, 32), ("AKLT", ALNUM, 40), ("AIza", ALNUM, 35), ("ya29.", ALNUM, 60), ("GOCSPX-", ALNUM, 28),
    ("ghp_", ALNUM, 36), ("gho_", ALNUM, 36), ("github_pat_", ALNUM, 60), ("glpat-", ALNUM, 20),
    ("gldt-", ALNUM, 20), ("glrt-", ALNUM, 20), ("ATATT3xFfGF0", ALNUM, 60), ("ATBB", ALNUM, 32),
    ("npm_", ALNUM, 36), ("pypi-", ALNUM, 80), ("rubygems_", LOWER_HEX, 48), ("dckr_pat_", ALNUM, 27),
    ("hvs.", ALNUM, 40), ("dop_v1_", LOWER_HEX, 64), ("dapi", LOWER_HEX, 32), ("sbp_", LOWER_HEX, 40),
    ("pscale_tkn_", ALNUM, 43), ("glsa_", ALNUM, 41), ("glc_", ALNUM, 60), ("NRAK-", string.ascii_uppercase + string.digits, 27),
    ("sntrys_", ALNUM, 60), ("lin_api_", ALNUM, 40), ("ntn_", ALNUM, 46), ("figd_", ALNUM, 40), ("PMAK-", LOWER_HEX, 59),
    ("xoxb-", string.digits, 12), ("xapp-1-", ALNUM, 60), ("SG.", ALNUM, 22), ("xkeysib-", LOWER_HEX, 64),
    ("sk_live_", ALNUM, 24), ("rk_live_", ALNUM, 24), ("whsec_", ALNUM, 32), ("shpat_", LOWER_HEX, 32),
    ("sq0atp-", ALNUM, 22), ("rzp_live_", ALNUM, 14), ("tkn_", LOWER_HEX, 32), ("key-", LOWER_HEX, 32),
    ("SK", LOWER_HEX, 32), ("EAAA", ALNUM, 60), ("AGE-SECRET-KEY-1", string.ascii_uppercase, 58),
    ("CCIPAT_", ALNUM, 40), ("tskey-auth-", ALNUM, 30), ("phx_", ALNUM, 43), ("vendor_live_", ALNUM, 30),
    ("acme-", ALNUM, 40), ("foo_v2_", ALNUM, 32),
]  # fmt: skip
SHAPES = [
    HEX + "." + "AbCdEfGh12345678",
    "123456789:" + "AAF" + made_of(ALNUM, 32),
    "M" + made_of(ALNUM, 23) + "." + made_of(ALNUM, 6) + "." + made_of(ALNUM, 27),
    HEX + "-us12",
    "$2b$12$" + made_of(ALNUM, 53),
    "$6$" + made_of(ALNUM, 8) + "$" + made_of(ALNUM, 86),
    "abc8Q~" + made_of(ALNUM, 34),
    "eyJ" + made_of(ALNUM, 33) + ".eyJ" + made_of(ALNUM, 60) + "." + made_of(ALNUM, 43),
]
AROUND = [
    "{}",
    "the key {} was refused",
    "密钥{}请保管",
    '{{"k": "{}"}}',
    "x={}&y=1",
    r"line\n{}",
    "`{}`",
    "({})",
    "{}.",
    "=>{}",
]


@pytest.mark.parametrize(("prefix", "alphabet", "length"), FORMS, ids=[form[0] for form in FORMS])
def test_a_key_is_recognized_by_its_prefix(prefix: str, alphabet: str, length: int) -> None:
    for around in AROUND:
        key = prefix + made_of(alphabet, length - 3) + ("7aZ" if alphabet is ALNUM else made_of(alphabet, 3))
        if prefix == "SG.":
            key += "." + made_of(ALNUM, 43)
        if prefix == "xoxb-":
            key += "-" + made_of(ALNUM, 24)
        assert not is_left(redact(around.format(key)), key[len(prefix) :]), around.format(key)


@pytest.mark.parametrize("key", SHAPES)
def test_a_key_is_recognized_by_its_shape(key: str) -> None:
    for around in AROUND:
        assert not is_left(redact(around.format(key)), key), around


# -- labelled values ---------------------------------------------------------------------------------

ASSIGNED = r"""
password = f'{S}'
password = b'{S}'
password=r"{S}"
password=rb'{S}'
export PASSWORD=$'{S}'
password = u"{S}"
password == "{S}"
if password == '{S}':
password := "{S}"
password => '{S}'
password -> {S}
"password": ["{S}"]
{{"password": ["{S}"]}}
{{"password": {{"value": "{S}"}}}}
{{"password": {{"value": ["x", "{S}"]}}}}
{{'password': {{'value': '{S}'}}}}
{{'password': ('{S}')}}
{{"user": "bob", "passwords": ["{S}", "{S}b"]}}
password="a\\"{S}"
{{"password": "a\\"{S}"}}
password='it\\'s {S}'
PASSWORD={S}
DB_PASSWORD={S}
userPassword: {S}
password2={S}
Password 1: {S}
passwords: {S}, {S}b and {S}c
passwd: {S}
pwd={S}
passphrase: {S}
pass: {S}
pw: {S}
**Password:** {S}
**Password**: `{S}`
__Password:__ {S}
*password*: {S}
- **密码**：`{S}`
> password: {S}
1. Password: {S}
<b>密码：</b>{S}
<password>{S}</password>
<ns:password type="text">{S}</ns:password>
<Password><![CDATA[{S}]]></Password>
<td>Password</td><td>{S}</td>
<dt>Password</dt><dd>{S}</dd>
<label>Password</label> <input value="{S}">
<input type="password" value="{S}">
<add key="password" value="{S}"/>
<property name="db.password" value="{S}"/>
<string name="api_secret">{S}</string>
{{"name": "password", "value": "{S}"}}
{{"key": "DB_PASSWORD", "value": "{S}"}}
{{"value": "{S}", "name": "password"}}
- name: DB_PASSWORD\n  value: {S}
- name: DB_PASSWORD\n  value: "{S}"
password: |\n  {S}
password: >-\n  {S}
password:\n  - {S}
password:\n    {S}
| Password | {S} |
| 密码 | {S} |
|Password|{S}|
| user | password |\n|---|---|\n| bob | {S} |
| user | password | role |\n|:--|:-:|--:|\n| bob | {S} | x |\n| eve | {S}b | y |
user,password,role\nbob,{S},admin
user;password\nbob;{S}
user\tpassword\nbob\t{S}
USER      PASSWORD     ROLE\nbob       {S}    admin
password is {S}
Password is **{S}**
The password is "{S}"
the password for the wifi is {S}
my password is: {S}
the password was {S} before
password changed to {S}
password has been reset to {S}
set the password to {S}
Password for root@db: {S}
Password (temporary): {S}
Password - {S}
{S} is my password
login with {S} as the password
use "{S}" as your password
密码是{S}
密码是 `{S}`
密码是“{S}”
密码是「{S}」
密码为：{S}
密码：{S}，谢谢
密码:\n{S}
密码改成{S}了
密码已重置为 {S}
初始密码（首次登录需修改）：{S}
【密码】{S}
登录密码：{S}
用{S}作为密码
{S}是我的密码
账号/密码：admin/{S}
账号密码：admin {S}
username/password: admin / {S}
口令：{S}
密碼：{S}
パスワード：{S}
パスワードは{S}です
비밀번호: {S}
пароль: {S}
Пароль — {S}
Contraseña: {S}
la contraseña es {S}
mot de passe : {S}
le mot de passe est {S}
Passwort: {S}
Das Passwort lautet {S}
Kennwort: {S}
senha: {S}
a senha é {S}
wachtwoord: {S}
lösenord: {S}
hasło: {S}
heslo: {S}
şifre: {S}
mật khẩu: {S}
รหัสผ่าน: {S}
كلمة المرور: {S}
पासवर्ड: {S}
סיסמה: {S}
kata sandi: {S}
mysql -u root -p{S} db
mysql -u root --password={S}
tool --password {S} --verbose
tool --db-password '{S}'
sshpass -p {S} ssh host
docker login -u me -p {S} host
curl -u bob:{S} https://x.example
curl --user "bob:{S}" https://x.example
redis-cli -a {S}
tool -p {S}
echo '{S}' | sudo -S ls
openssl rsa -passin pass:{S}
machine x login bob password {S}
CREATE USER bob IDENTIFIED BY '{S}'
ALTER USER bob WITH PASSWORD '{S}'
requirepass {S}
Server=x;User Id=sa;Password={S};Encrypt=yes
jdbc:mysql://h/db?user=root&password={S}
postgres://app:{S}@db:5432/x
redis://:{S}@cache:6379
https://bob:{S}@x.example/
?username=bob&pwd={S}#x
password%3D{S}
password&#61;{S}
password\\u003d{S}
&lt;password&gt;{S}&lt;/password&gt;
&quot;password&quot;: &quot;{S}&quot;
p\u200bass\u200bword: {S}
ｐａｓｓｗｏｒｄ：{S}
𝐩𝐚𝐬𝐬𝐰𝐨𝐫𝐝: {S}
password: \u200b{S}
Password\n{S}
密码\n{S}
"password is"\n"{S}"
PASSWORD: Final[str] = rb"{S}"
let password: &str = r#"{S}"#;
$password = <<<EOT\n{S}\nEOT;
password = ("{S}" "{S}b")
password = "{S}" + "{S}b"
if password != "{S}":
if (password.equals("{S}"))
String password = new String("{S}");
password = os.getenv("DB_PASSWORD", "{S}")
password = os.environ.get("DB_PASSWORD") or "{S}"
password := []byte("{S}")
conn.setPassword("{S}");
config.set('password', '{S}')
DECLARE @password NVARCHAR(50) = N'{S}';
auth=('bob', '{S}')
["password", "{S}"]
{{"password": {{"type": "string", "default": "{S}"}}}}
{{"args": ["curl", "-u", "bob:{S}", "https://h"]}}
s:8:"password";s:12:"{S}";
Content-Disposition: form-data; name="password"\n\n{S}\n--b
variable "db_password" {{\n  default = "{S}"\n}}
password: !secret "{S}"
password: &pw {S}
network={{\n psk="{S}"\n}}
echo {S} | docker login --password-stdin
echo 'bob:{S}' | chpasswd
openssl enc -k {S} -in f
useradd -p {S} bob
keytool -storepass {S} -list
ConvertTo-SecureString '{S}' -AsPlainText
rabbitmqctl add_user bob {S}
ftp://bob:x@{S}@h/
bob:{S}@tcp(127.0.0.1:3306)/x
db:5432:shop:bob:{S}
jdbc:oracle:thin:scott/{S}x@db:1521:x
<table><tr><th>User</th><th>Password</th></tr><tr><td>bob</td><td>{S}</td></tr></table>
<input type="password" name="p" value="{S}">
INSERT INTO users (name, password) VALUES ('bob', '{S}')
Password for bob@x.io:\n{S}
登录密码{S}
账号 bob 密码 {S}
password 是 {S}
kodeord: {S}
kind: Secret\nstringData:\n  db: {S}
user/pass = bob/{S}
net user bob {S} /add
"""
# Further from the label, only what must be a password.
NEARBY = r"""
driver.find_element(By.ID, 'password').send_keys('{S}')
Dim password As String = "{S}"
passwords:\n  db: {S}\n  mq: {S}b
[passwords]\ndb = "{S}"
Password? {S}
new password will be {S}
password ➜ {S}
пароль от почты: {S}
smtp.login('me@x.io', '{S}')
try {S} for the password
bob / {S} (password)
"""
LINES = [line for line in ASSIGNED.strip("\n").split("\n") if line]


@pytest.mark.parametrize("line", LINES)
def test_the_value_of_a_label_is_replaced(line: str) -> None:
    for secret in (PASSWORD, "Tr0ub4dor&3", "p@ss,w0rd;x1"):
        if "," in secret and ("," in line or ";" in line or "|" in line or "/" in line):
            continue
        if any(char in line for char in "&%#@") and any(char in secret for char in "&@"):
            continue
        text = (
            line.replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\u200b", "\u200b")
            .replace("{{", "{")
            .replace("}}", "}")
            .replace("{S}", secret)
        )
        shown = redact(text)
        assert not is_left(shown, secret), (text, shown)


@pytest.mark.parametrize("line", NEARBY.strip().split("\n"))
def test_a_password_near_a_label_is_replaced(line: str) -> None:
    for secret in (PASSWORD, "Tr0ub4dor&3"):
        shown = redact(line.replace("\\n", "\n").replace("{S}", secret))
        assert not is_left(shown, secret), shown


KEYS_ASSIGNED = r"""
api_key={S}
API key: {S}
**API key:** {S}
"apiKey": "{S}"
X-Api-Key: {S}
app_secret: {S}
client_secret => '{S}'
AccessKeySecret: {S}
aws_secret_access_key = {S}
secret: {S}
SECRET_KEY = '{S}'
token: {S}
access_token={S}
"token": "{S}"
tokens: ["{S}"]
credential: {S}
my token is {S}
the api key is {S}
api key for prod: {S}
密钥：{S}
访问密钥是{S}
令牌: {S}
私钥：{S}
APIキー：{S}
토큰: {S}
токен: {S}
секретный ключ: {S}
clé API : {S}
clave: {S}
auth: {S}
sig={S}12345678
?sig={S}
&signature={S}%3D
?X-Amz-Signature={S}&X-Amz-Date=1
?X-Amz-Security-Token={S}
?X-Goog-Signature={S}
?OSSAccessKeyId=a&Expires=1&Signature={S}
?AWSAccessKeyId={S}
?sv=1&se=2&sig={S}
?code={S}&state=1
?key={S}
?sign={S}
?auth={S}
?ticket={S}
Authorization: Bearer {S}
Authorization: Token {S}
authorization: {S}
"Authorization": "Bearer {S}"
{{"Authorization": "Token {S}"}}
-H 'Authorization: Bearer {S}' https://x
Authorization: Digest username="bob", realm="x", nonce="1", response="{S}"
-H 'Authorization: Digest username="bob", response="{S}"'
{{"Authorization": "Digest username=\\"bob\\", response=\\"{S}\\""}}
Authorization: AWS4-HMAC-SHA256 Credential=AK/2026, SignedHeaders=host, Signature={S}
Proxy-Authorization: Basic {S}
Cookie: session={S}; id=2
Set-Cookie: sid={S}; Path=/
headers = {{"Cookie": "a={S}"}}
https://open.feishu.cn/open-apis/bot/v2/hook/{S}
https://open.larksuite.com/open-apis/bot/v2/hook/{U}
https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={U}
https://oapi.dingtalk.com/robot/send?access_token={S}
https://discord.com/api/webhooks/1234567890/{S}
https://discordapp.com/api/webhooks/1234567890/{S}
https://hooks.slack.com/services/T000/B000/{S}
https://hooks.slack.com/workflows/T000/A000/1/{S}
https://acme.webhook.office.com/webhookb2/{U}@{U}/IncomingWebhook/{S}/{U}
https://prod-01.westus.logic.azure.com:443/workflows/{S}/triggers/manual/paths/invoke?sig={S}
https://api.telegram.org/bot123456789:{S}/sendMessage
https://hooks.zapier.com/hooks/catch/123/{S}/
https://maker.ifttt.com/trigger/x/with/key/{S}
https://chat.example.com/hooks/{S}
https://n8n.example.com/webhook/{U}
AccountName=x;AccountKey={S}{S}==;EndpointSuffix=core
SharedAccessKey={S}=
-----BEGIN RSA PRIVATE KEY-----\n{S}\n{S}\n-----END RSA PRIVATE KEY-----
-----BEGIN PGP PRIVATE KEY BLOCK-----\n{S}
setx API_KEY {S}
client secret {S}
headers={{"Authorization": "Bearer " + "{S}"}}
if token in ('{S}', 'x'):
AK: {S} SK: {S}
twine upload -u me -p {S}
私钥 {S}
secrets:\n  db: {S}\n  mq: {S}
req.headers.set('Authorization', 'Bearer {S}')
Authentication: {S}
https://webhook.site/{U}
https://hook.us1.make.celonis.com/{S}
vercel_blob_rw_{S}_{S}{S}
acme_live_{S}{S}
$argon2id$v=19$m=65536,t=3,p=4${S}{S}$RdescudvJCsgt3ub
"""


@pytest.mark.parametrize("line", [line for line in KEYS_ASSIGNED.strip("\n").split("\n") if line])
def test_a_key_with_a_label_is_replaced(line: str) -> None:
    text = (
        line.replace("\\n", "\n")
        .replace("{{", "{")
        .replace("}}", "}")
        .replace("{S}", SECRET)
        .replace("{U}", UUID)
    )
    shown = redact(text)
    assert not is_left(shown, SECRET), shown
    assert UUID[-12:] not in shown


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("CVV: 123", "123"), ("cvv 4567", "4567"), ("CVC2=987", "987"), ("安全码：321", "321"), ("PIN: 4711", "4711"),
        ("PIN code is 4711", "4711"), ("my pin is 4711", "4711"), ("PIN码：4711", "4711"), ("验证码：384756", "384756"),
        ("您的验证码是：【384756】", "384756"), ("G-384756 is your Google verification code", "384756"), ("384756 是您的验证码", "384756"),
        ("验证码：A3F9K2", "A3F9K2"), ("CVV码为812", "812"), ("银行卡密码384756", "384756"), ("ssn: 078051120", "078051120"),
        ("8 (912) 345-67-89", "345-67-89"), ("passphrase: correct horse battery staple", "horse battery"),
        ("wifi password hunter2blue", "hunter2blue"),
        ("您的验证码是384756，5分钟内有效", "384756"), ("OTP: 384 756", "384 756"), ("verification code: 384756", "384756"),
        ("Your verification code is 384756", "384756"), ('{"cvv": 123, "n": 4}', "123"), ('{"pin": "4711"}', "4711"),
        ("取款密码：471100", "471100"), ("| CVV | 123 |", "123"), ("**PIN:** 4711", "4711"),
        ("Basic " + base64.b64encode(b"bob:hunter2").decode(), base64.b64encode(b"bob:hunter2").decode()),
        ('{"password": 12345678}', "12345678"), ("password: 12345678", "12345678"), ("password=letmein", "letmein"),
        ("password: letmein", "letmein"), ("PASSWORD=correct_horse", "correct_horse"), ('password="correct horse"', "correct horse"),
        ("密码：“芝麻开门”", "芝麻开门"), ("password: Häuser9!x", "user9!x"),
        ("zhang [at] example [dot] com", "example"), ("zhang at example dot com", "example"),
        ("电话：2125550123", "2125550123"), ("call me at 9123 4567", "9123 4567"), ("tel. 07911 123456", "123456"),
        ("06 12 34 56 78", "12 34 56"), ("090-1234-5678", "1234-5678"), ("+49 (0)151 23456789", "23456789"),
        ("0044 20 7946 0958", "7946"), ("手机 1 3 8 0 0 1 3 8 0 0 0", "8 0 0 1 3"),
    ],
)  # fmt: skip
def test_a_labelled_code_or_number_is_replaced(text: str, secret: str) -> None:
    assert secret not in redact(text), redact(text)


# -- disguises ---------------------------------------------------------------------------------------

DISGUISES = {
    "json": lambda text: json.dumps({"a": text}),
    "json in json": lambda text: json.dumps({"a": json.dumps({"b": text})}),
    "json, three deep": lambda text: json.dumps([json.dumps([json.dumps({"c": text})])]),
    "ascii json": lambda text: json.dumps({"a": "中" + text}),
    "url": lambda text: "https://host.test/?q=" + urllib.parse.quote(text, safe=""),
    "url twice": lambda text: "https://host.test/?q=" + urllib.parse.quote(urllib.parse.quote(text, safe="")),
    "html": lambda text: html.escape(text),
    "html numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "unicode escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "octal": lambda text: "".join(f"\\{ord(char):03o}" if ord(char) < 256 else char for char in text),
    "long unicode escapes": lambda text: "".join(f"\\U{ord(char):08x}" for char in text),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "zero width": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "bold": lambda text: "".join(
        chr(0x1D400 + ord(c) - 65) if c.isupper() else chr(0x1D41A + ord(c) - 97) if c.islower() else c
        for c in text
    ),
    "repr": repr,
    "fenced": lambda text: f"```\n{text}\n```",
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=" + PASSWORD, PASSWORD),
        (json.dumps({"password": PASSWORD}), PASSWORD),
        ("密码：" + PASSWORD, PASSWORD),
        ("my key is sk-" + "abcdefghijkl" + "mnopqrstuv12", "abcdefghijklmnopqrstuv12"),
        ("call +86 138 0013 8000 now", "138 0013 8000"),
        ("to zhang@example.com now", "zhang@example.com"),
    ],
)
def test_no_disguise_hides_a_secret(disguise: str, text: str, secret: str) -> None:
    disguised = DISGUISES[disguise](text)
    shown = redact(disguised)
    hidden = (
        DISGUISES[disguise](secret)
        if disguise not in ("repr", "fenced") and "json" not in disguise
        else secret
    )
    hidden = hidden.removeprefix("https://host.test/?q=")
    assert not is_left(shown, secret), shown
    assert not is_left(shown, hidden, len(hidden) // 2), shown


# -- JSON stays JSON ---------------------------------------------------------------------------------

VALUES = [
    {"password": 12345678, "n": 1},
    {"phone": 13800138000, "list": [13800138000, "13800138000", {"x": 4111111111111111}]},
    {"password": 'a"' + PASSWORD + "\\"},
    {"password": [PASSWORD, {"deep": PASSWORD}], "passwords": {"a": PASSWORD, "b": None, "c": True}},
    {"text": 'say "password: ' + PASSWORD + '"\nand\tgo'},
    {"mail": "zhang@example.com", "zhang@example.com": "mail", "k": "sk-" + "abcdefghijklmnopqrstuvwx"},
    {"Authorization": 'Digest username="bob", response="' + PASSWORD + '"'},
    {"csv": "user,password\nbob," + PASSWORD},
    {"a": json.dumps({"password": PASSWORD, "n": [13800138000]})},
    {"a": json.dumps({"b": json.dumps({"c": json.dumps({"password": 12345678, "pwd": PASSWORD + '"'})})})},
    [json.dumps([json.dumps({"name": "password", "value": PASSWORD})])],
    {"url": "https://bob:" + PASSWORD + "@x.example/?sig=" + SECRET + "&x=1"},
    {"email": "zhang@example.com", "cvv": 123, "pin": "4711"},
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("written", [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_json_stays_json(value: object, written: dict) -> None:
    text = json.dumps(value, **written)
    for around in ("{}", "Here it is:\n```json\n{}\n```\nBye.", "[1, {}]"):
        shown = redact(around.replace("{}", text))
        for secret in (PASSWORD, SECRET, "12345678", "13800138000", "4111111111111111", "zhang@", "4711"):
            assert secret not in shown
        begin, end = around.split("{}")
        assert shown.startswith(begin)
        assert shown.endswith(end)
        kept = json.loads(shown[len(begin) : len(shown) - len(end)])
        assert same_form(value, kept), kept


def same_form(before: object, after: object) -> bool:
    """Whether both have the same lists and dicts, including JSON in strings."""
    if isinstance(before, dict) and isinstance(after, dict):
        return len(before) == len(after) and all(map(same_form, before.values(), after.values()))
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(same_form, before, after))
    if isinstance(before, str) and before[:1] in ("{", "["):
        return same_form(json.loads(before), json.loads(after))  # type: ignore[arg-type]
    return not isinstance(after, (dict, list))


def test_a_json_schema_is_unchanged() -> None:
    schema = {
        "password": {"type": "string", "minLength": 8, "description": "at least 8"},
        "token": {"type": "string"},
    }
    assert json.loads(redact(json.dumps({"properties": schema}))) == {"properties": schema}


# -- known secrets -----------------------------------------------------------------------------------

KNOWN = "0123456789abcdef" + "0123.AbCdEfGhIjKlMnOp"


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_hides_a_known_secret(disguise: str) -> None:
    shown = Redactor(secrets=[KNOWN]).redact(DISGUISES[disguise](f"x{KNOWN}y"), LONG)
    for n in range(len(KNOWN) - 8):
        assert KNOWN[n : n + 8] not in shown


@pytest.mark.parametrize("n_before", range(6))
def test_a_known_secret_is_replaced_in_base64_and_in_part(n_before: int) -> None:
    redactor = Redactor(secrets=[KNOWN])
    encoded = base64.b64encode(("bob:x:"[:n_before] + KNOWN + "!").encode()).decode()
    shown = redactor.redact(f"it is {encoded}", LONG)
    assert not any(encoded[n : n + 12] in shown for n in range(8, len(encoded) - 20))
    assert KNOWN[:12] not in redactor.redact(f"refused: {KNOWN[: 24 + n_before]}... sorry", LONG)
    assert KNOWN[-14:] not in redactor.redact(f"refused: ...{KNOWN[10 + n_before :]}", LONG)


def test_the_secrets_of_a_call_are_replaced() -> None:
    assert REDACTOR.redact(f"refused: {KNOWN}", LONG, secrets=[KNOWN]) == "refused: [key]"
    long_token = made_of(ALNUM, 3000)
    assert made_of(ALNUM, 8) not in REDACTOR.redact("x" * 90 + long_token, 100, secrets=[long_token])
    assert REDACTOR.redact("x" * 90 + " " + long_token, 100, secrets=[long_token]).startswith(
        "x" * 90 + " [key]"
    )
