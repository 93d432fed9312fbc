"""What ``smsgw init`` asks for each protocol, in the words of the carriers' sheets (接入参数表)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from smsgw.model import Operator

Kind = Literal["text", "number", "list", "secret"]


class Item(NamedTuple):
    """One item of a sheet.

    Attributes:
        key: Its key under the link's table; ``listener.KEY`` for one of the listener's.
        words: What the sheet calls it, and what it is.
        stand_in: A value that is right while the item was not asked yet.
        default: What is offered; None where the sheet must say. "" leaves the key out.
        kind: How it is written in the file.
    """

    key: str
    words: str
    stand_in: Any
    default: str | None = None
    kind: Kind = "text"


class Sheet(NamedTuple):
    """The items of one protocol, in the order they are asked.

    Attributes:
        title: Whose it usually is.
        name: What its link is called unless somebody says otherwise.
        items: What is asked.
    """

    title: str
    name: str
    items: tuple[Item, ...]


_DIGITS = Item(
    "number_digits_max", "扩展后的最大号码长度: longest sender number", 20, "20", "number"
)
_BINDS = Item("binds", "连接数: connections at a time", 1, "1", "number")
_RATE = Item("rate", "流速: messages per second in all, 0 is no limit", 0, "0", "number")


def _host(port: str) -> tuple[Item, Item]:
    return (
        Item("host", "网关地址: the gateway's address", "127.0.0.1"),
        Item("port", "网关端口: its port", int(port), port, "number"),
    )


def _access(words: str) -> Item:
    return Item("access_number", words, "1")


def _window(size: str) -> Item:
    return Item("window", "滑动窗口: unanswered messages per connection", int(size), size, "number")


SHEETS: dict[str, Sheet] = {
    "cmpp": Sheet(
        "China Mobile (中国移动), CMPP",
        "cmcc",
        (
            Item("version", "协议版本: 2.0, 3.0 or auto", "3.0", "3.0"),
            *_host("7890"),
            Item("login", "企业代码 (SP_Id): login, 6 characters", "000000"),
            Item("secret", "共享密钥: shared secret", "x", None, "secret"),
            _access("接入号 (Src_Id): the number phones see, without extension"),
            Item("service_id", "业务代码 (Service_Id), at most 10 characters", "", ""),
            Item("msg_src", "企业代码 in each message (Msg_src), if it is not the login", "", ""),
            _DIGITS,
            _BINDS,
            _RATE,
            _window("16"),
        ),
    ),
    "smgp": Sheet(
        "China Telecom (中国电信), SMGP",
        "ctcc",
        (
            Item("version", "协议版本: 1.3, 2.0, 3.0 or auto", "3.0", "3.0"),
            *_host("8890"),
            Item("login", "登录账号 (ClientID), at most 8 characters", "00000000"),
            Item("secret", "共享密钥: shared secret", "x", None, "secret"),
            _access("接入号 (SrcTermID): the number phones see, without extension"),
            Item("service_id", "业务代码 (ServiceID), at most 10 characters", "", ""),
            Item("msg_src", "企业代码 (MsgSrc), at most 8 characters", "", ""),
            _DIGITS,
            _BINDS,
            _RATE,
            _window("16"),
        ),
    ),
    "sgip": Sheet(
        "China Unicom (中国联通), SGIP",
        "cucc",
        (
            *_host("8801"),
            Item("login", "登录名: our login there, at most 16 characters", "x"),
            Item("secret", "登录密码: its password", "x", None, "secret"),
            _access("接入号 (SPNumber): the number phones see, without extension"),
            Item("node", "节点号: 3 + area code + 企业代码", 0, None, "number"),
            Item("corp_id", "企业代码 (CorpId), 5 characters", ""),
            Item("service_type", "业务代码 (ServiceType), at most 10 characters", "", ""),
            Item("listener.allow", "网关IP地址: where the carrier connects from", [], None, "list"),
            Item(
                "listener.listen", "SP地址: where it connects to us", "127.0.0.1:0", "0.0.0.0:8801"
            ),
            Item("listener.login", "回连登录名: the carrier's login at ours", "x"),
            Item("listener.secret", "回连密码: its password", "x", None, "secret"),
            _DIGITS,
            _BINDS,
            _RATE,
            _window("32"),
        ),
    ),
    "smpp": Sheet(
        "another gateway, SMPP",
        "smpp",
        (
            Item("version", "version: 3.3 or 3.4", "3.4", "3.4"),
            *_host("2775"),
            Item("login", "system_id, at most 15 characters", "x"),
            Item("secret", "password, at most 8 characters", "x", None, "secret"),
            Item("system_type", "system_type", "", ""),
            _access("接入号 (source_addr): the number phones see, without extension"),
            Item(
                "operator",
                f"运营商: whose subscribers it serves: {', '.join(Operator)}",
                "other",
            ),
            _DIGITS,
            _BINDS,
            _RATE,
            _window("16"),
        ),
    ),
}
"""By protocol."""
