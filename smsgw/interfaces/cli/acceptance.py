"""The acceptance sheet (验收单) of a link, as Markdown: what a carrier's engineer signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smsgw.services.selftest import FAILED, PASSED, SKIPPED, Step

NAMES = {
    "listen": "监听端口 listener",
    "login": "登录 login",
    "heartbeat": "链路检测 heartbeat",
    "submit": "短信下发 submit",
    "report": "状态报告 report",
    "long": "长短信下发 long submit",
    "long report": "长短信状态报告 long report",
    "callback": "网关回连 call-back",
    "reply": "短信上行 MO",
    "logout": "拆除连接 logout",
}

OUTCOMES = {PASSED: "通过 pass", FAILED: "不通过 FAIL", SKIPPED: "未测 skipped"}


def facts(link: Any, own_address: str, at: datetime, version: str, phone: str) -> dict[str, str]:
    """Return what both sides agreed on, by its name on the sheet.

    Args:
        link: The link's settings in the configuration.
        own_address: Where we dial from; "" when nobody knows.
        at: When it was tried.
        version: What both speak; "" before a login.
        phone: The test phone, or "".
    """
    listener = link.listener
    shown = {
        "日期 date": f"{at:%Y-%m-%d %H:%M:%S} (UTC{at:%z})",
        "链路 link": link.name,
        "协议 protocol": f"{link.carrier.title} {version or link.account.version}",
        "网关地址 gateway": f"{link.host}:{link.port}",
        "SP 地址 our address": own_address or "—",
        "登录名 login": link.account.name,
        "接入号 access number": link.access_number,
        "最大号码长度 digits of a number": str(link.number_digits_max),
        "连接数 connections": str(link.binds),
        "滑动窗口 window": str(link.account.window),
        "流速 submits a second": f"{link.rate:g}" if link.rate else "—",
        "TLS": "no" if link.tls is None else "yes",
        "测试手机 test phone": phone or "—",
    }
    for key, label in (
        ("sp_id", "企业代码 SP id"),
        ("corp_id", "企业代码 corp id"),
        ("service_id", "业务代码 service id"),
        ("node", "节点编号 node"),
    ):
        value = getattr(link.account, key, "")
        if value:
            shown[label] = str(value)
    if listener is not None:
        shown["回连地址 call-back address"] = str(listener.listen)
        shown["回连登录名 call-back login"] = listener.account.name
    return shown


def sheet(agreed: dict[str, str], steps: Sequence[Step]) -> str:
    """Return the sheet."""
    passed = all(step.outcome != FAILED for step in steps)
    rows = [
        f"| {NAMES.get(step.name, step.name)} | {OUTCOMES[step.outcome]} |"
        f" {_seconds(step)} | {_cell(step.said)} |"
        for step in steps
    ]
    return "\n".join(
        [
            f"# 接入验收单 Acceptance sheet: {agreed['链路 link']}",
            "",
            "| 项目 item | 值 value |",
            "|---|---|",
            *(f"| {name} | {_cell(value)} |" for name, value in agreed.items()),
            "",
            "| 步骤 step | 结果 result | 用时 seconds | 说明 remarks |",
            "|---|---|---|---|",
            *rows,
            "",
            f"结论 conclusion: {'通过 passed' if passed else '不通过 NOT passed'}",
            "",
            "SP 签字 for us: ________________    运营商签字 for the carrier: ________________",
            "",
        ]
    )


def _seconds(step: Step) -> str:
    return "" if step.seconds is None else f"{step.seconds:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
