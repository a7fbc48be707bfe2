"""A process that shares its keys with others; it does what it is told line by line, and answers each line with one.

``open FOLDER`` comes first, and says which key signs.
"""

from __future__ import annotations

import sys

from auth.bridge import AuthBridge
from auth.errors import RotationRefused
from config.settings import load_settings


def main() -> None:
    bridge: AuthBridge | None = None
    say("ready")
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "open":
            bridge = AuthBridge(settings=load_settings(None, ENVIRONMENT="testing", INSTANCE_PATH=arguments[0]))
            say(str(bridge.key.kid))
        else:
            assert bridge is not None
            say(answer(bridge, command, *arguments))


def answer(bridge: AuthBridge, command: str, token: str = "") -> str:
    if command == "verify":
        return "refused" if bridge.validate_token(token) is None else "accepted"
    if command == "sign":
        return bridge.generate_token("ada")
    try:
        bridge.rotate_key(at_once=command != "rotate", revoke=command == "revoke")
    except RotationRefused:
        return "refused"
    return "rotated"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
