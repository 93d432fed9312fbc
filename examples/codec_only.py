"""The codecs alone: no reactor, no socket. Build PDUs, cut a stream, say what is wrong."""

from __future__ import annotations

import sys

from smsgw.errors import EncodeError, PduError
from smsgw.protocols import cmpp


def main() -> None:
    submit = cmpp.Submit30(
        src_id="10690001042",
        dest_terminal_id=["13800001001"],
        msg_fmt=8,
        msg_content="请审批".encode("utf-16-be"),
    )
    stream = cmpp.encode(submit) + cmpp.encode(cmpp.ActiveTest()) + b"\x00\x00"

    framer = cmpp.Framer()
    for frame in framer.split(stream):  # the two octets that follow wait for the rest of their PDU
        print(len(frame), cmpp.decode(frame))

    try:
        cmpp.encode(cmpp.Submit30(src_id="1069" * 6, dest_terminal_id=["13800001001"]))
    except EncodeError as error:
        print("cannot send:", error)
    try:
        cmpp.decode(cmpp.encode(submit)[:40])
    except PduError as error:
        print("cannot read:", error)

    assert "twisted" not in sys.modules


if __name__ == "__main__":
    main()
