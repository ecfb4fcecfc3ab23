"""What of a text must nobody see? Passwords, tokens and keys are taken out; what is left can be shown and kept.

Two ways to know one: by where it stands (in a URL, in a connection string), and by the name of the option or setting
whose value it is. Hiding too much does little harm: that something is set is still seen, and so is its end.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"

_PASSWORD: Final = re.compile(r"(?P<before>://[^:/?#\s]*:)\S*(?=@)")
"""To the last ``@`` of the word: a password may hold one (a user too), and hiding too much does no harm."""
_IN_HOST: Final = re.compile(r"(?P<before>\bhost(?: name)? [\"'])[^\"']*(?=@)")
"""What drivers take for the host where a password holds an ``@``: ``failed to resolve host 'cret@db.example.org'``."""
_PARAMETER: Final = re.compile(r"(?P<before>\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^&\s]+)", re.IGNORECASE)

_PEM: Final = re.compile(r"(?s)(?P<before>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)")
_SCHEME: Final = re.compile(r"(?P<before>\b(?:Bearer|Basic)\s+)[^\s\"',;]+", re.IGNORECASE)
_PAIR: Final = re.compile(
    r"(?P<name>[A-Za-z][\w.-]*)[\"']?\s*(?:=>?|:)\s*"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\{[^}]*\}?|[^\s&;]+)"
)
"""``name=value`` and ``"name": value``, as connection strings, queries of URLs, headers and JSON have them."""

_ANYWHERE: Final = ("passw", "passphrase", "pwd", "secret", "token", "credential")
_AT_THE_END: Final = frozenset({"auth", "authorization", "cookie", "jwt", "pass", "pw", "sas", "signature"})
_ABOUT_ONE: Final = frozenset(
    """
    column columns count delimiter enabled encoding encryption endpoint exp expiration expires expiry field fields file
    format header host history index interval length lifetime limit method min mode name names path prefix provider
    required schema separator size suffix table timeout ttl type uri url version
    """.split()  # noqa: SIM905 - one name per line would be a page
)
"""What a name ends with that is about a secret, and is none."""
_KEYS_OF_ROWS: Final = frozenset(
    """
    business cache candidate claim cluster clustering composite dedup distribution foreign group hash join merge natural
    object order partition primary range row shard sharding singleton sort surrogate table unique
    """.split()  # noqa: SIM905 - one name per line would be a page
)
"""What makes a key one that rows are found by."""
_YES_OR_NO: Final = frozenset({"", "true", "false", "on", "off", "yes", "no", "t", "f", "1", "0"})


def redact(text: str) -> str:
    """Take the passwords out of a URL, of a connection string or of a message that quotes one."""
    for each in (_PASSWORD, _IN_HOST, _PARAMETER):
        text = each.sub(rf"\g<before>{HIDDEN}", text)
    return text


def shown(name: str, value: str) -> str:
    """Say what may be seen of the value of an option or setting.

    Args:
        name: of the option; ``api_key`` and the like say that all of its value is a secret.
        value: as it is.

    Returns:
        The value without passwords, tokens and keys; ``***`` where it is one.
    """
    if value.strip().lower() in _YES_OR_NO:
        return value
    return HIDDEN if _is_secret(name) else _without_secrets(value)


def option(text: str) -> str:
    """Do the same for an option as the catalog has it, ``name=value``."""
    name, equals, value = text.partition("=")
    return f"{name}={shown(name, value)}" if equals else text


def _is_secret(name: str) -> bool:
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    if not words or words[-1] in _ABOUT_ONE:
        return False
    if any(part in each for each in words for part in _ANYWHERE) or words[-1] in _AT_THE_END:
        return True
    # "api_key", "apikey", "api_key_id", "access_keys", but not "primary_key" or "partitionkey".
    rest = words[:-1] if words[-1] == "id" else words
    found = re.fullmatch(r"(.*)keys?", rest[-1]) if rest else None
    return found is not None and (found[1] or "".join(rest[-2:-1])) not in _KEYS_OF_ROWS


def _without_secrets(value: str) -> str:
    for each in (_PEM, _SCHEME):
        value = each.sub(rf"\g<before>{HIDDEN}", value)
    value, start = redact(value), 0
    while (found := _PAIR.search(value, start)) is not None:
        start = found.start("value")
        if _is_secret(found["name"]) and found["value"].lower() not in _YES_OR_NO:
            quote = found["value"][0] if found["value"][0] in "\"'" else ""
            value = f"{value[:start]}{quote}{HIDDEN}{quote}{value[found.end() :]}"
            start += len(HIDDEN) + 2 * len(quote)
    return value
