"""Reads whom a task is handed on to: ``转派 13800001234 张工``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smsgw.services.folding import fold_word
from smsgw.services.remarks import SEPARATORS, TRAILING

_PHONE = r"(?<!\d)(?:\+?86[ -]?)?(1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?!\d)"
_GOES_ON = "(?:去)?(?:处理|跟进|负责|接手|完成|办理|维修|过去|去|来)?"
_NAME = rf"([一-鿿·]{{2,6}}?|[a-z][a-z.]{{1,20}}(?: [a-z][a-z.]{{1,20}})?){_GOES_ON}"
_GAP = f"[{re.escape(SEPARATORS)}给]*"
_END = rf"(?=$|[{re.escape(SEPARATORS)}])"
_TARGET = re.compile(
    rf"{_GAP}(?:{_PHONE}(?:{_GAP}{_NAME}{_END})?|{_NAME}(?:{_GAP}{_PHONE})?){_END}"
)
_NOBODY = (
    "别人", "其他人", "他人", "人家", "同事", "其他同事", "别的同事", "下一位", "下一个", "一下",
    "出去", "失败", "成功", "谢谢", "明天", "今天", "下午", "上午", "晚上", "下周", "稍后",
    "部门", "其他部门", "别的部门", "单位", "别处", "处理", "维修", "任务", "工单", "申请", "中",
    "短信", "消息", "电话", "the", "it", "to", "me", "him", "her", "them", "somebody", "someone",
    "nobody", "anyone", "anybody", "other", "others", "please", "thanks",
)  # fmt: skip
_NEVER_IN_NAME = re.compile("[不没未吗么呢谁哪或和与及还是否若如但吧]|什么|怎么|除了")
_SHORT_NAME = re.compile("[一-鿿]{2,3}")
_THANKS = ("谢谢", "多谢", "感谢", "辛苦了")
_OPEN = re.compile(
    r"[?或]|还是|吗|么|呢|谁|哪|不用|不必|别|算了|取消|除非|如果|假如|要是|的话|不行|先不|暂|考虑|再说|再定"
    r"|打错|点错|写错|错了|手滑|手误|哈哈|玩笑|完成|修好|搞定|已解决|已处理|\d{7,}|\b(?:or|if|not|no)\b"
)


@dataclass(frozen=True)
class Target:
    """Whom a task is handed on to; one of both may be "".

    Attributes:
        phone: Eleven digits.
        name: As it was written, folded.
    """

    phone: str
    name: str


def target_of(text: str) -> Target | None:
    """Return whom the text behind ``转派`` names; None when it is not certain."""
    said = fold_word(text)
    found = _TARGET.match(said)
    if not found:
        return None
    phone = re.sub("[ -]", "", found[1] or found[4] or "")
    name = found[2] or found[3] or ""
    rest = said[found.end() :].strip(TRAILING)
    if _OPEN.search(rest) or _OPEN.search(name):
        return None
    if name in _NOBODY or _NEVER_IN_NAME.search(name):
        return Target(phone, "") if found[1] else None  # 13800001234，我去不了
    if not phone and _SHORT_NAME.fullmatch(rest) and rest not in _THANKS:
        return None  # 张工 李工
    return Target(phone, name)
