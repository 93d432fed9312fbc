"""The words by which a reply is read: data only, in the folded form ``replies`` compares.

Folded means NFKC, lower case, and the simplified form of the few traditional characters that occur
in decision words (:data:`TO_SIMPLIFIED`), so each word is listed once. A preset that needs other
words makes its own :class:`Vocabulary`.
"""

from __future__ import annotations

from dataclasses import dataclass

TO_SIMPLIFIED = str.maketrans(
    "駁絕決準過贊許認無難應該嗎麼問題條見時還沒對錯為書報銷購買請辦執實發錢後們這個張項經讚總別來樣會說訂審",
    "驳绝决准过赞许认无难应该吗么问题条见时还没对错为书报销购买请办执实发钱后们这个张项经赞总别来样会说订审",
)
"""Traditional to simplified, one character to one, only those that occur in the words below."""


@dataclass(frozen=True)
class Vocabulary:
    """The words of one preset. Every word is in folded form.

    Attributes:
        negatives: Refusals after which a reason may follow at once (``不同意预算不够``).
        weak_negatives: Refusals that must stand alone or before a separator (``不行``, ``no``):
            with more text they begin other words and phrases (``不行政``, ``no problem``).
        positives: Approvals. They must stand alone or before a separator.
        objects: What may follow an approval at once (``同意办理``).
        yes_number: The choice that approves, once choices were offered.
        no_number: The choice that refuses.
        opt_outs: Whole texts that ask to get no more messages.
        acknowledgements: Words that never decide, and may precede a decision at once.
        greetings: Words that may precede a decision when a separator follows.
        intensifiers: Words before a decision that leave it as it is (``我``, ``完全``).
        particles: Characters after a decision that leave it as it is.
        applause: Signs after an approval that leave it as it is.
        longer_words: What, right after a decision word, makes another word of it or takes its
            sense away (``同意书``, ``不同意见``, ``不同意就算了``).
        exceptions: Beginnings that look like ``longer_words`` and are a plain reason.
        questions: Marks of a question anywhere in a text.
        question_endings: Marks of a question at the end of a clause.
        harmless: Phrases in a remark that only look like a doubt.
        doubts: What in the remark after an approval makes it less than certain.
        english_doubts: The same, as whole English words.
        reversals: What in the reason of a refusal makes it less than certain.
        slips: Clauses that, by themselves, take back or weaken a refusal.
        strong_positives: What may not occur un-negated in the reason of a refusal.
        negations: What, before a strong positive, makes it a refusal.
        measures: Characters that make a leading number a quantity (``2 天后``).
    """

    negatives: tuple[str, ...] = (
        "不同意不同意", "不同意", "绝不同意", "决不同意", "不能同意", "无法同意", "难以同意",
        "不予同意", "拒绝同意", "不批准", "不能批准", "不予批准", "拒绝批准", "不通过", "不予通过",
        "不能通过", "不赞成", "不赞同", "不认可", "不核准", "不准许", "不允许", "驳回", "拒绝",
        "否决", "反对",
        "reject", "rejected", "disagree", "disapprove", "disapproved", "refuse", "refused",
        "not approved", "not approve", "not agree", "not agreed", "do not agree", "don't agree",
        "do not approve", "don't approve",
    )  # fmt: skip
    weak_negatives: tuple[str, ...] = ("不行", "不可以", "不准", "不许", "不批", "否", "no")
    positives: tuple[str, ...] = (
        "同意", "批准", "准予批准", "予以批准", "审批通过", "审核通过", "通过", "赞成", "赞同",
        "核准", "准许", "认可",
        "yes", "approve", "approved", "agree", "agreed",
    )  # fmt: skip
    objects: tuple[str, ...] = (
        "申请", "此申请", "该申请", "本申请", "本次申请", "办理", "执行", "实施", "支付", "付款",
        "报销", "采购", "购买", "请假", "出差", "用车", "发布", "播出", "发放", "立项", "此事",
        "该事项", "此事项",
    )  # fmt: skip
    yes_number: str = "1"
    no_number: str = "2"
    opt_outs: tuple[str, ...] = ("t", "td", "r", "退订", "unsubscribe", "stop")
    acknowledgements: tuple[str, ...] = (
        "好的", "收到", "ok", "okay", "嗯嗯", "嗯", "已阅", "已悉", "知道了",
    )  # fmt: skip
    greetings: tuple[str, ...] = ("好", "您好", "你好", "领导好", "领导", "hi", "hello", "谢谢")
    intensifiers: tuple[str, ...] = (
        "我们", "我方", "我司", "本人", "我", "完全", "非常", "十分", "坚决", "强烈", "明确",
        "确认", "表示", "仍然", "依然", "也", "回复", "选择", "选", "审批意见", "意见", "i",
    )  # fmt: skip
    particles: str = "了啊呀哦喔噢哈啦的滴"
    applause: str = "👍🙏👌✅✔✓√💪🌹🤝😊🙂"
    longer_words: tuple[str, ...] = (
        "见", "愿", "书", "的", "者", "就", "也", "又", "不", "吗", "么", "吧", "呢", "嘛", "呗",
        "与", "或", "一半", "部分", "和", "及", "还", "是", "率", "更", "过", "才", "才怪", "可",
        "行", "没", "无", "否", "理由", "原因", "接收", "骚扰", "短信", "推销", "广告", "垃圾",
        "权", "票", "党", "派",
        "/", "\\", "|", "&", '"', "'", "”", "’", "」", "』", "》", "%", "=", "*", "_",
    )  # fmt: skip
    exceptions: tuple[str, ...] = (
        "是因为", "原因:", "原因 ", "原因是", "理由:", "理由 ", "理由是", "过高", "过大", "过多",
    )  # fmt: skip
    questions: tuple[str, ...] = (
        "?", "什么", "怎么", "为何", "如何", "是否", "能否", "可否", "与否", "会怎样", "能不能",
        "可不可以", "谁", "哪",
    )  # fmt: skip
    question_endings: tuple[str, ...] = (
        "吗", "么", "呢", "没", "没有", "怎样", "对不对", "是不是", "行不行", "好不好",
    )  # fmt: skip
    harmless: tuple[str, ...] = (
        "没问题", "没有问题", "没意见", "没有意见", "无意见", "无异议", "没有异议", "不客气",
        "不用谢", "挺不错", "很不错",
    )  # fmt: skip
    doubts: tuple[str, ...] = (
        "不", "没", "无", "未", "非", "别", "勿", "莫", "否", "拒", "驳", "反对", "但", "可是",
        "然而", "只是", "只要", "只能", "仅", "除", "如果", "假如", "若", "要是", "万一", "的话",
        "前提", "条件", "才", "暂", "先", "再", "重新", "重报", "考虑", "犹豫",
        "一定", "可能", "也许", "大概", "或", "原则", "部分", "其中", "第", "方案", "一半", "减",
        "降", "改", "调整", "错", "误", "撤", "取消", "作废", "收回", "更正", "算了", "等",
        "停", "退", "最多", "以内", "限", "折", "需", "补", "齐", "后", "慢", "慎", "异议", "意见",
        "保留", "勉强", "情况", "应该", "估计", "貌似", "好像", "似乎", "只有", "必须", "随便",
        "屁", "做梦", "没门", "玩笑", "骗", "逗", "吧", "嘛", "同意", "批准", "赞成",
        "赞同", "通过", "核准", "准许", "❌", "✖", "✗", "👎", "🚫", "🙃", "😅", "/", "|",
    )  # fmt: skip
    english_doubts: tuple[str, ...] = (
        "no", "not", "but", "if", "unless", "however", "only", "except", "maybe", "cancel", "wait",
        "or", "never", "reject", "rejected", "disagree", "refuse", "yes", "approve", "agree",
        "don't", "doesn't", "isn't", "can't", "won't", "until", "when", "after", "half", "joking",
    )  # fmt: skip
    reversals: tuple[str, ...] = (
        "除非", "再想想", "没想好", "再考虑", "再说", "再定", "再议", "改天", "等我", "看情况",
        "视情况", "算了", "玩笑", "逗你", "骗你", "个屁", "👍", "👌", "✅", "❤", "😂", "🤣",
    )  # fmt: skip
    slips: tuple[str, ...] = (
        "不对", "错了", "打错了", "发错了", "点错了", "按错了", "写错了", "说错了", "手误", "误发",
        "误操作", "更正", "打错", "发错", "错", "才怪", "收回", "不", "不是", "no", "not", "行",
        "可以", "好", "好的", "ok", "慢着", "且慢", "等会", "等等", "稍等", "别急", "暂时", "一半",
        "应该", "估计", "貌似", "好像", "似乎", "大概", "也许", "可能", "勉强", "随便", "保留",
    )  # fmt: skip
    strong_positives: tuple[str, ...] = ("同意", "批准", "赞成", "赞同", "yes", "approve", "agree")
    negations: tuple[str, ...] = (
        "不", "没", "没有", "未", "不能", "无法", "难以", "不会", "不予", "不太", "别", "dis",
        "not ", "not be ", "don't ",
    )  # fmt: skip
    measures: str = "天个月号日万人次点元块周年小时份台件套张本条项位名家种部辆楼层级折倍成亿千百%"


DEFAULT = Vocabulary()
"""Chinese and English, for approvals."""
