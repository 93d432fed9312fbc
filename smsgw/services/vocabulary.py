"""The words by which a reply is read: data only, in the folded form ``replies`` compares.

Folded means NFKC, lower case, and the simplified form of the few traditional characters that occur
in decision words (:data:`TO_SIMPLIFIED`), so each word is listed once. A preset that needs other
words makes its own :class:`Vocabulary`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

TO_SIMPLIFIED = str.maketrans(
    "駁絕決準過贊許認無難應該嗎麼問題條見時還沒對錯為書報銷購買請辦執實發錢後們這個張項經讚總別來樣會說訂審"
    "點開誤寫擬緩遲異議權隨緊儘盡財務轉謝電話領導勞煩處動進啟馬兩滿圖場訊壞費間備"
    "設畢維結復搶檢調裝換達單給評選號確幹趕驗測繼續辭聯絡撥",
    "驳绝决准过赞许认无难应该吗么问题条见时还没对错为书报销购买请办执实发钱后们这个张项经赞总别来样会说订审"
    "点开误写拟缓迟异议权随紧尽尽财务转谢电话领导劳烦处动进启马两满图场讯坏费间备"
    "设毕维结复抢检调装换达单给评选号确干赶验测继续辞联络拨",
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
        opt_outs: Whole texts that ask to get no more messages.
        opt_ins: Whole texts that ask to get them again.
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
        thanks: Whole texts that never decide.
        courtesies: Remarks that leave an approval as it is, whole.
        pleas: What may begin a remark that urges to go on.
        urges: How fast and how: ``尽快``.
        actions: What is to be gone on with: ``办理``.
        notices: What begins a remark about who is to be told: ``通知``, ``转``.
        offices: Who may be told, and may be asked to do a duty.
        others: Who may only be told.
        duties: What an office may be asked to do; never to decide, never to bear the cost.
        doubts: What in brackets at the head or tail makes them more than a signature.
        english_doubts: What, as a whole English word, makes a refusal less than certain.
        english_phrases: English words that begin a phrase after a refusal (``disagree with``).
        conditions: What in the reason of a refusal makes it conditional.
        acceptances: Ends of a clause by which a refusal accepts something else (``减半就行``).
        objections: What, refused, is a refusal of a refusal (``驳回异议``), besides ``negatives``.
        laughter: What makes nothing certain.
        reversals: What in the reason of a refusal makes it less than certain.
        slips: Clauses that, by themselves, take back or weaken a refusal.
        strong_positives: What may not occur un-negated in the reason of a refusal.
        negations: What, before a strong positive, makes it a refusal.
        measures: Characters that make a leading number a quantity (``2 天后``).
        received: Words that say the task was taken up, where that is an answer; besides
            ``acknowledgements`` and ``greetings``.
        transfers: Words that hand a task on, before whom to.
        reports: What was done, as a remark: ``更换``, ``重启``.
        prompts: What our own questions begin with, before a colon.
        leads: What may precede an option that is chosen: ``我选``, ``投``.
        cheers: Remarks that leave a chosen option as it is, whole.
        praise: What, in the comment of a rating, speaks for a good one.
        complaints: What speaks for a bad one; looked for first (``不好`` contains ``好``).
    """

    negatives: tuple[str, ...] = (
        "不同意不同意", "不同意", "绝不同意", "决不同意", "不能同意", "无法同意", "难以同意",
        "不予同意", "拒绝同意", "不批准", "不能批准", "不予批准", "拒绝批准", "不予通过", "不赞成",
        "不赞同", "不认可", "不核准", "驳回", "否决",
        "reject", "rejected", "disagree", "disapprove", "disapproved", "refuse", "refused",
        "not approved", "not approve", "not agree", "not agreed", "do not agree", "don't agree",
        "do not approve", "don't approve",
    )  # fmt: skip
    weak_negatives: tuple[str, ...] = (
        "不行", "不可以", "不准", "不许", "不批", "否", "反对", "拒绝", "不通过", "不能通过",
        "不允许", "不准许", "no",
    )  # fmt: skip
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
    opt_outs: tuple[str, ...] = ("t", "td", "r", "退订", "拒收", "unsubscribe", "stop")
    opt_ins: tuple[str, ...] = ("恢复", "恢复订阅", "恢复接收", "start", "unstop")
    acknowledgements: tuple[str, ...] = (
        "好的", "ok", "okay", "嗯嗯", "嗯", "已阅", "已悉", "知道了",
    )  # fmt: skip
    greetings: tuple[str, ...] = ("好", "您好", "你好", "领导好", "收到", "hi", "hello")
    thanks: tuple[str, ...] = ("谢谢", "多谢", "感谢", "thanks", "thank you")
    intensifiers: tuple[str, ...] = (
        "我们", "我方", "我司", "本人", "我", "完全", "非常", "十分", "坚决", "强烈", "明确",
        "确认", "表示", "仍然", "依然", "也", "回复", "选择", "选", "审批意见", "意见", "i",
    )  # fmt: skip
    particles: str = "了啊呀哦喔噢哈啦的滴"
    applause: str = "👍🙏👌✅✔✓√💪🌹🤝😊"
    longer_words: tuple[str, ...] = (
        "见", "愿", "书", "的", "者", "就", "也", "又", "不", "吗", "么", "吧", "呢", "嘛", "呗",
        "与", "或", "一半", "部分", "和", "及", "还", "是", "率", "更", "过", "才", "才怪", "可",
        "行", "没", "无", "否", "理由", "原因", "接收", "骚扰", "短信", "推销", "广告", "垃圾",
        "权", "票", "党", "派", "意见", "都", "那", "难道", "岂", "会", "要", "将", "0", "零",
        "/", "\\", "|", "&", '"', "'", "”", "’", "」", "』", "》", "%", "=", "*", "_",
    )  # fmt: skip
    exceptions: tuple[str, ...] = (
        "是因为", "原因:", "原因 ", "原因是", "理由:", "理由 ", "理由是", "过高", "过大", "过多",
        "会议", "要求", "将来",
    )  # fmt: skip
    questions: tuple[str, ...] = (
        "?", "什么", "怎么", "为何", "如何", "是否", "能否", "可否", "与否", "会怎样", "能不能",
        "可不可以", "谁", "哪",
    )  # fmt: skip
    question_endings: tuple[str, ...] = (
        "吗", "么", "呢", "没", "没有", "怎样", "对不对", "是不是", "行不行", "好不好",
    )  # fmt: skip
    courtesies: tuple[str, ...] = (
        "谢谢", "谢谢您", "谢谢领导", "谢谢大家", "多谢", "感谢", "辛苦", "辛苦了", "大家辛苦了",
        "各位辛苦了", "没问题", "没有问题", "没意见", "没有意见", "无意见", "无异议", "没有异议",
        "不客气", "不用谢", "收到", "好的", "已阅", "支持", "全力支持", "加油", "很好", "挺好",
        "照办", "请照办", "发自我的iphone", "发自我的手机", "来自我的手机",
        "ok", "thanks", "thanks a lot", "many thanks", "thank you", "thank you very much", "thx",
        "please", "please proceed", "proceed", "go ahead", "please go ahead", "asap", "good",
        "great", "well done", "regards", "best regards", "sir", "madam", "of course", "sure",
        "sent from my iphone",
    )  # fmt: skip
    pleas: tuple[str, ...] = ("请", "请大家", "望", "麻烦", "烦请", "敬请")
    urges: tuple[str, ...] = (
        "尽快", "尽早", "抓紧", "抓紧时间", "赶紧", "赶快", "马上", "立即", "立刻", "即刻", "及时",
        "按时", "迅速", "速", "快", "认真", "按流程", "按程序", "按计划",
    )  # fmt: skip
    actions: tuple[str, ...] = (
        "办", "办理", "去办", "执行", "落实", "实施", "推进", "安排", "处理", "跟进", "采购",
        "购买", "下单", "支付", "付款", "报销", "发放", "发布", "播出", "开始", "启动",
    )  # fmt: skip
    notices: tuple[str, ...] = ("通知", "转告", "告知", "转", "抄送", "知会")
    offices: tuple[str, ...] = (
        "财务", "财务部", "财务处", "财务科", "人事", "人事部", "行政", "行政部", "采购部",
        "总编室", "办公室", "技术部", "设备部",
    )  # fmt: skip
    others: tuple[str, ...] = ("各部门", "相关部门", "相关人员", "申请人", "大家", "各位")
    duties: tuple[str, ...] = ("办理", "执行", "落实")
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
        "拟", "待", "缓", "推迟", "延", "下月", "下周", "本周", "月底", "以下", "以上", "假",
    )  # fmt: skip
    english_doubts: tuple[str, ...] = (
        "if", "unless", "until", "wait", "hold on", "hold", "pending", "draft", "not yet",
        "i mean", "i meant", "ignore", "oops", "lol", "jk", "kidding", "joking",
    )  # fmt: skip
    english_phrases: tuple[str, ...] = ("with", "to", "that", "nothing", "none", "any", "no")
    conditions: tuple[str, ...] = (
        "如果", "假如", "倘若", "若是", "若超", "若不", "若能", "若有", "若无", "要是", "只要",
        "的话", "前提",
    )  # fmt: skip
    acceptances: tuple[str, ...] = (
        "可以", "可行", "就行", "也行", "还行", "才行", "得行", "就好", "也好", "也可",
        "就可", "亦可", "ok", "okay", "fine",
    )  # fmt: skip
    objections: tuple[str, ...] = (
        "拒绝", "反对", "不通过", "异议", "质疑", "抗议", "反悔", "否定",
    )  # fmt: skip
    laughter: tuple[str, ...] = ("哈哈", "呵呵", "嘿嘿", "狗头", "😂", "🤣")
    reversals: tuple[str, ...] = (
        "除非", "再想想", "没想好", "再考虑", "再说", "再定", "再议", "改天", "等我", "看情况",
        "视情况", "算了", "玩笑", "逗你", "骗你", "个屁", "👍", "👌", "✅", "✔", "✓", "√", "💪",
        "❤", "我是说", "我的意思", "手滑", "误触", "误按", "说反", "按反", "反话", "当我没说",
        "不算数", "上一条", "忽略", "不反对", "不拒绝", "没意见", "没有意见", "无意见", "没问题",
        "没有问题", "无异议", "没异议", "没有异议",
    )  # fmt: skip
    slips: tuple[str, ...] = (
        "不对", "错了", "打错了", "发错了", "点错了", "按错了", "写错了", "说错了", "手误", "误发",
        "误操作", "更正", "打错", "发错", "错", "才怪", "收回", "不", "不是", "no", "not", "行",
        "可以", "好", "好的", "ok", "慢着", "且慢", "等会", "等等", "稍等", "别急", "暂时", "一半",
        "应该", "估计", "貌似", "好像", "似乎", "大概", "也许", "可能", "勉强", "随便", "保留",
        "无", "没", "没有", "暂无", "取消", "撤", "撤回", "撤销", "作废", "反", "不可能", "不知道",
        "不清楚", "不确定", "none", "nil", "nothing", "fine", "sure", "do it", "proceed",
        "please proceed", "go ahead", "please go ahead", "no problem", "no problems",
        "no objection", "no objections", "no worries", "no issue", "no issues",
    )  # fmt: skip
    strong_positives: tuple[str, ...] = ("同意", "批准", "赞成", "赞同", "yes", "approve", "agree")
    negations: tuple[str, ...] = (
        "不", "没", "没有", "未", "不能", "无法", "难以", "不会", "不予", "不太", "别", "dis",
        "not ", "not be ", "don't ",
    )  # fmt: skip
    measures: str = "天个月号日万人次点元块周年小时份台件套张本条项位名家种部辆楼层级折倍成亿千百%"
    received: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ("待审批", "派工", "请评分", "投票")
    leads: tuple[str, ...] = (
        "我选", "我选择", "我投", "我投给", "我们选", "我们投", "选", "选择", "投", "投给", "投票",
        "投票给", "我支持", "支持", "我的选择", "我的选择是", "答案", "答案是", "回复", "我",
        "本人", "i choose", "choose", "vote", "vote for", "i vote for",
    )  # fmt: skip
    cheers: tuple[str, ...] = (
        "加油", "必胜", "最棒", "你最棒", "真棒", "太棒了", "冲", "冲呀", "冠军", "一票", "投一票",
        "我的一票", "我喜欢", "喜欢", "我支持", "支持你", "永远支持", "选手", "老师", "唱得真好",
        "唱得好", "go", "best",
    )  # fmt: skip
    praise: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # over a thousand words, asked for several times for each reply
        return hash(tuple(getattr(self, one.name) for one in fields(self)))


DEFAULT = Vocabulary()
"""Chinese and English, for approvals."""

_DONE = (
    "完成", "完成了", "修好", "修复完成", "修复完毕", "修完", "修理完成", "修理好", "维修完成",
    "维修完毕", "维修好", "维修结束", "抢修完成", "抢修完毕", "抢修结束", "检修完成", "检修完毕",
    "处理完", "处理完成", "处理完毕", "处理好", "处理结束", "办完", "办好", "办妥", "办结", "搞定",
    "搞好", "弄好", "弄完", "做完", "做好", "干完", "安装完成", "安装完毕", "安装好", "调试完成",
    "调试完毕", "调试好", "更换完成", "更换完毕", "更换好", "换好", "装好", "布置完成", "布置完毕",
    "布置好", "架设完成", "架设完毕", "测试完成", "测试完毕", "巡检完成", "巡检完毕", "任务结束",
    "完工", "竣工", "解决了", "已解决", "得到解决", "修复了", "已修复", "排除了", "已排除",
    "已恢复", "恢复了", "恢复正常", "已恢复正常", "恢复正常了",
    "done", "finished", "completed", "complete", "fixed", "resolved", "all done", "job done",
)  # fmt: skip

TASKS = replace(
    DEFAULT,
    negatives=(
        "无法处理", "处理不了", "不能处理", "没法处理", "没办法处理", "无法完成", "完成不了",
        "不能完成", "没法完成", "没办法完成", "无法修复", "修不了", "修不好", "没法修", "无法维修",
        "维修不了", "无法解决", "解决不了", "没法解决", "没办法解决", "无法到场", "无法到达",
        "无法前往", "无法参加", "无法安排", "无法执行", "执行不了", "无法接单", "接不了", "去不了",
        "去不成", "不能去", "没法去", "没办法去", "来不了", "不能来", "到不了", "赶不到",
        "赶不过去",
        "过不去", "办不了", "办不到", "做不了", "做不到", "干不了", "搞不定", "搞不了", "弄不了",
        "弄不好", "装不了", "拒单", "拒接",
        "can't come", "cannot come", "can't go", "cannot go", "can't make it", "cannot make it",
        "can't do it", "cannot do it", "can't fix", "cannot fix", "unable to come", "unable to fix",
        "unable to attend", "decline", "declined", "refuse", "refused",
    ),
    weak_negatives=(
        "cannot", "can't", "can not", "unable",
        "无法", "拒绝", "拒绝接单", "不接", "不接单", "不接受", "不去", "不做", "不干", "不行",
        "不能", "否", "no", "reject", "rejected",
    ),
    positives=_DONE,
    objects=(
        "任务", "此任务", "该任务", "本任务", "工作", "维修", "抢修", "检修", "安装", "调试",
        "处理",
        "更换", "布置", "巡检", "测试",
    ),
    acknowledgements=(
        "收到", "收到了", "已收到", "好的", "好滴", "好嘞", "ok", "okay", "嗯嗯", "嗯", "已阅",
        "已悉", "知道了", "明白", "明白了", "了解", "遵命",
    ),
    greetings=("好", "您好", "你好", "领导好", "hi", "hello"),
    intensifiers=(
        "我们", "我方", "我", "我这边", "这边", "已", "已经", "现已", "现在已", "均已", "都已",
        "全部", "全都", "都", "均", "刚", "刚刚", "任务", "工作", "设备", "故障", "问题", "现场",
        "确认", "回复", "选择", "选", "报告", "i",
    ),
    longer_words=(*DEFAULT.longer_words, "中", "率", "前", "后", "度", "时", "情况", "多少", "几"),
    courtesies=(
        "谢谢", "谢谢您", "谢谢领导", "多谢", "感谢", "辛苦", "辛苦了", "不客气", "请验收",
        "请查收", "请放心", "请知悉", "请领导放心", "一切正常", "运行正常", "测试正常", "设备正常",
        "信号正常", "播出正常", "工作正常", "正常", "恢复正常", "已恢复正常", "已恢复", "已测试",
        "测试通过", "已验收", "验收通过", "已离场", "已撤场", "已返回", "照片已发", "照片已上传",
        "发自我的iphone", "发自我的手机", "来自我的手机",
        "ok", "thanks", "many thanks", "thank you", "thx", "regards", "best regards", "all good",
        "sent from my iphone",
    ),
    urges=(),
    notices=("通知", "转告", "告知", "抄送", "知会"),
    actions=("验收", "查收", "确认"),
    reversals=(
        *DEFAULT.reversals, "转派", "转给", "转交", "改派", "移交", "让", "已换", "换了", "已更换",
        "更换了", "等", "稍后", "晚点", "晚些", "待会", "一会", "回头", "过两天", "过几天", "再去",
        "再来", "再修", "再处理", "才能", "先",
        ",转", " 转", "转到", "换张", "换人去", "叫", "我来", "怎么",
    ),
    acceptances=(*DEFAULT.acceptances, "去", "来", "处理", "接", "顶替", "代替", "替我"),
    english_doubts=(
        *DEFAULT.english_doubts, "will", "later", "tomorrow", "coming", "on my way", "soon",
    ),
    slips=(*DEFAULT.slips, "收到", "明白", "马上去", "马上到", "正常", "恢复"),
    strong_positives=(
        "完成", "修好", "搞定", "处理完", "处理好", "恢复正常", "已恢复", "已解决", "解决了",
        "已修复", "办完", "办好", "弄好", "done", "finished", "completed", "fixed", "resolved",
    ),
    negations=(
        "不", "没", "没有", "未", "未能", "不能", "无法", "没法", "没办法", "难以", "不会", "别",
        "not ", "not be ", "don't ", "not yet ",
    ),
    received=(
        "马上去", "马上到", "马上来", "马上处理", "马上办", "马上出发", "马上就到", "马上就去",
        "这就去", "这就来", "立即处理", "立即去", "立即前往", "立刻去", "在路上", "在路上了",
        "路上", "出发了", "已出发", "已经出发", "正在处理", "正在维修", "正在抢修", "正在赶来",
        "正在路上", "正在前往", "处理中", "维修中", "抢修中", "已到", "已到场", "已到现场",
        "已到达", "已到达现场", "到了", "到现场了", "到达现场", "接单", "已接单",
        "received", "got it", "copy", "roger", "on my way", "on it", "working on it",
    ),
    transfers=(
        "转派", "转派给", "请转派", "请转派给", "改派", "改派给", "请改派", "请改派给", "转给",
        "请转给", "转交", "转交给", "请转交", "请转交给", "移交", "移交给", "派给", "转单",
        "转单给",
        "交给", "转", "请转",
        "transfer to", "transfer", "reassign to", "reassign", "forward to", "hand over to",
    ),
    reports=(
        "更换", "换", "重启", "调整", "清理", "清洗", "紧固", "重装", "升级", "焊接", "校准",
        "复位",
        "检查", "重新接线", "接好", "测试", "调试", "加固", "恢复", "配置", "重新配置", "替换",
    ),
)  # fmt: skip
"""Chinese and English, for tasks that are taken up, done, handed on or declined."""

RATED = replace(
    DEFAULT,
    leads=(
        *DEFAULT.leads, "打", "给", "打分", "评分", "评", "评价", "我打", "我给", "我评", "给个",
        "打个",
        "我打分", "我的评分", "我的评价", "分数", "得分", "总评", "满意度", "总体", "整体",
        "总体评价",
    ),
    praise=(
        "很满意", "挺满意", "蛮满意", "十分满意", "特别满意", "满意", "很好", "挺好", "真好",
        "太好", "非常好", "蛮好", "都好", "好评", "不错", "点赞", "赞",
        "很棒", "真棒", "太棒", "优秀", "完美", "热情", "专业", "周到", "耐心", "及时", "负责",
        "给力",
        "无可挑剔", "没的说", "没得说", "一流", "👍", "❤", "🌹",
        "good", "great", "excellent", "perfect", "nice",
    ),
    complaints=(
        "不满意", "不太满意", "不是很满意", "不是满意", "没有满意", "不怎么满意", "不满", "不好",
        "不太好",
        "不怎么好", "不够", "不行", "不热情", "不专业", "不耐心", "不及时", "不负责", "没耐心",
        "不周到", "不怎么样",
        "很差", "太差", "差评", "极差", "真差", "差劲", "投诉", "失望", "糟糕", "糟", "垃圾",
        "恶劣", "冷淡",
        "敷衍", "气人", "生气", "烂", "坑", "👎", "💩", "bad", "poor", "terrible", "worst", "awful",
    ),
)  # fmt: skip
"""Chinese and English, for a number on a scale and what people say with it."""
