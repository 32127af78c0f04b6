"""The phrases that the caption rules know, in English and Chinese (both scripts where they differ)."""

from __future__ import annotations

import re


def _any(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(p, re.IGNORECASE) for p in patterns)


_CANNOT = (
    r"(?:can['’]?t|cannot|can not|could(?:n['’]t| not)|am unable|['’]m unable|am not able|['’]m not able|won['’]t)"
)
REFUSALS = _any(
    # English
    rf"^.{{0,25}}\b(?:sorry|apologi[sz]e|apologies)\b.{{0,60}}(?:{_CANNOT}|\bbut\b|\bunable\b)",
    r"\bas an? (?:[\w-]+ ){0,3}(?:ai|a\.i\.|language model|artificial intelligence|llm|chatbot|virtual assistant)\b",
    rf"\bi ?{_CANNOT} (?:be able )?(?:to )?(?:\w+ly )?(?:help|assist|describe|provide|identify|view|see|generate|"
    r"create|comply|fulfil|process|access|analy[sz]e|caption|comment|determine|answer|continue|engage|open|read)",
    r"\bi (?:do not|don['’]t) (?:have (?:the )?(?:ability|access|capability|permission)|"
    r"see an? (?:image|picture|photo))",
    r"\b(?:no|not any) (?:image|picture|photo) (?:was|has been|is|were) (?:provided|attached|uploaded|shared|given)",
    r"\b(?:not|isn['’]t) visible to me\b",
    r"\bplease (?:re-?)?(?:upload|share|provide|attach|send|describe) (?:me )?(?:the|an?|your|another) (?:\w+ )?"
    r"(?:image|picture|photo|file)",
    r"\bviolat\w+ (?:\w+ ){0,3}(?:polic(?:y|ies)|guidelines|terms|standards)\b",
    # Chinese
    "(?:抱歉|对不起|對不起|不好意思|遗憾).{0,24}(?:无法|無法|不能|没有|沒有|看不到|未能|不便|违反|違反|请重新)",
    "(?:作为|作為|身为).{0,4}(?:AI|人工智能|人工智慧|语言模型|語言模型|大模型|智能助手)",
    "我(?:无法|無法|不能|不会|没有办法|沒有辦法|没法|看不到|看不见)(?:直接)?"
    "(?:看|查看|描述|提供|识别|識別|辨认|生成|回答|访问|为您|為您|满足|处理|帮|您|你|这|图)",
    "请(?:您|你)?(?:重新)?(?:上传|上傳|提供|发送|描述)(?:一下|一张)?(?:您的|你的)?.{0,2}(?:图片|照片|图像|圖片|影像)",
    "請(?:您|你)?(?:重新)?(?:上傳|提供|描述).{0,3}(?:圖片|照片|影像)",
    "(?:违反|違反).{0,10}(?:政策|规定|規定|准则|規範)",
    "(?:AI|人工智能|语言)模型.{0,14}(?:无法|不能|看不)",
    "无法为您|不能为您|無法為您|不能為您",
)

BOILERPLATE = _any(
    # English: page furniture and notices
    r"\bclick (?:here|to (?:enlarge|view|zoom|see|expand|open|download)|"
    r"(?:on )?(?:the )?(?:image|picture|photo|link))\b",
    r"\ball rights reserved\b",
    r"\b(?:add|added) to (?:cart|basket|bag|wish ?list|favou?rites)\b",
    r"\b(?:royalty[- ]free|stock) (?:photo|image|vector|illustration|footage|picture)s?\b.{0,20}(?:\bid\b|#|\d{4,})",
    r"\b(?:image|photo|picture|page|file) (?:not found|(?:is )?(?:no longer|not|un) ?available|"
    r"could not be (?:loaded|found)|(?:has been )?(?:removed|deleted))\b(?! on)",
    r"\b(?:subscribe|sign up|register) (?:to|for) (?:our|the|my|free)\b",
    r"\b(?:log ?in|sign ?in|register) (?:or|and|to) (?:sign|log|register|see|view|download|continue|comment)",
    r"\b(?:share|follow us|tweet|pin|like us) (?:this )?on (?:facebook|twitter|instagram|pinterest|linkedin|x)\b",
    r"\bfree (?:shipping|delivery|download|returns)\b",
    r"\bdownload (?:this|the|our|your|free|now)\b.{0,60}"
    r"\b(?:free|vector|image|photo|picture|wallpaper|app|hd|commercial)\b",
    r"\b(?:enable|requires?) javascript\b|\bjavascript is (?:disabled|required)\b",
    r"\b(?:we|this (?:web)?site) uses? cookies\b|\baccept (?:all )?cookies\b",
    r"\b(?:posted|published|uploaded|written) by \w+ (?:on|in|at)\b.{0,40}\b\d{4}\b",
    r"\bleave a (?:comment|reply)\b|\bread more\b|\bview (?:full|all|more|larger)\b|\blink in (?:my |the )?bio\b",
    r"\bloading(?: image)?\s*(?:\.\.\.|…)",
    r"\bbuy (?:it )?now\b|\bshop now\b|\border (?:now|today|online)\b|\blimited[- ]time offer\b",
    r"\b(?:photo|image|picture|slide) \d+ (?:of|/) \d+\b",
    r"\bcontact (?:the )?(?:site )?administrator\b|\bsave \d+ ?%",
    r"^\s*(?:©|\(c\)|copyright) ?(?:by |\d{4})",
    r"\b(?:getty ?images|shutterstock|istock(?:photo)?|alamy|dreamstime|depositphotos|123rf|adobe stock)\b.{0,30}"
    r"(?:\d{4,}|stock|royalty|©|$)",
    # Chinese
    "点击(?:查看|图片|链接|下载|放大|进入|此处|这里|領取|领取|关注|阅读)|點擊(?:查看|圖片|連結|下載|放大|此處)",
    "版权所有|版權所有|未经(?:许可|授权|允许)|侵权|侵權|禁止转载|转载请",
    "加入购物车|立即购买|立即抢购|立即下载|马上抢购|加入購物車|立即購買",
    "(?:图片|图像|页面|该图|圖片|内容)(?:已|已经)?(?:失效|不存在|被删除|加载失败|找不到|过期)|图片加载|正在加载|加载中",
    "(?:扫码|扫描二维码|长按).{0,4}(?:关注|下载|识别|加群|进群)|关注(?:我们的)?(?:微信)?公众号|關注公眾號",
    "(?:请先|登录后|注册后|登录).{0,4}(?:登录|下载|查看|评论)|下载(?:高清)?(?:原图|无水印)|免费下载|VIP下载",
    "(?:来源于|来自|源于)网络|图片来源[:：]?网络|图源网络",
    "素材编号|图片编号|图片ID|编号[:：]?\\d{5,}",
    "限时(?:特惠|抢购|优惠|秒杀)|全场.{1,3}折|满\\d+(?:元)?(?:包邮|减)|点击链接|抢购链接|包邮",
    "上一篇|下一篇|返回(?:列表|首页|顶部)|分享到(?:微博|微信|朋友圈|QQ)|阅读全文|展开(?:更多|全文)|查看更多",
)
#: Shop and page words that say nothing alone and everything together.
BOILERPLATE_BY_TWO = _any(
    r"\bquick view\b",
    r"\bcompare\b",
    r"\bcheckout\b",
    r"\bprice\b|[$€£¥]\s?\d",
    r"\bin stock\b|\bout of stock\b",
    r"\breviews?\b",
    r"\bfree\b",
    r"\bsale\b",
    r"\bskus?\b",
    r"\bmenu\b",
    r"\bhome ?page\b|\bhome\b(?= [|>»])",
    "收藏",
    "点赞",
    "转发",
    "评论",
    "客服",
    "包邮",
)

_SUFFIX = r"(?:jpe?g|png|gif|bmp|webp|tiff?|hei[cf]|avif|psd|svg|nef|cr2|arw|dng|raw|pdf|ai|eps|mp4|mov)"
FILE_NAMES = _any(
    rf"^(?:\S+[ _-]){{0,3}}\S*\.{_SUFFIX}(?: ?copy| ?\(\d+\)| \d)?$",
    r"^(?:mv)?(?:img|dsc[nf]?|pict|pxl|vid|wp|cimg|sam|gopr|dcim|mvi|scan|kimg|sdc|imag|fb_img|wechatimg|snapchat)"
    r"[-_ ]?e?\d[\w() -]*$",
    r"^[pg]\d{6,8}$|^_?[a-z]{2,4}\d{4,5}$|^\d{6,}[-_]\d+(?:[-_]\w+)?$|^\d{8,}$",
    r"^(?:screen ?shot|screenshot|屏幕截图|截屏|截图|微信图片|微信截图|QQ图片|QQ截图|mmexport)[-_ ]?\d[\d\-_. :at]*$",
    r"^(?=\S*\d)(?=(?:[^-_]*[-_]){2})[\w.-]+$",
    r"^(?:[a-z]:\\|/(?:home|users|var|mnt|data|tmp)/|\\\\)\S",
)

URL = re.compile(
    r"(?:https?://|www\.)[^\s，。；、（）()<>“”\"\u4e00-\u9fff]+"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|(?<![\w.])(?:[a-z0-9-]+\.)+(?:com|net|org|io|cn|co|info|de|ru|fr|jp|uk)(?:/[^\s，。]*)?(?![\w])",
    re.IGNORECASE,
)
PROMOTION = re.compile(
    r"\b(?:visit|source|via|see more|more at|contact|credit|courtesy|download|follow|find us|available at|check out)\b"
    "|请访问|访问|图源|来源|出处|详见|关注|更多|联系",
    re.IGNORECASE,
)
MARKUP = _any(
    r"</?(?:p|div|img|br|a|span|h[1-6]|b|i|em|strong|ul|ol|li|table|tr|td|font|center|figure|script|style)(?:\s[^>]*)?/?>",
    r"&(?:nbsp|lt|gt|quot|apos|#\d{2,5});",
    r"!\[[^\]]*\]\([^)]*\)|\[[^\]]+\]\(https?:",
    r"\[/?(?:url|img|b|i|size|color|quote)(?:=[^\]]*)?\]",
    r"^\s*[{\[]\s*[“\"]\S*[”\"]\s*[:,]",
    r"```",
    r"(?:[a-z-]+:\s*[^;:\s]+;){2}",
)

PLACEHOLDERS = frozenset(
    [
        *(
            "untitled",
            "alt text",
            "alt",
            "image of",
            "photo of",
            "picture of",
            "an image of",
            "a photo of",
            "n/a",
            "na",
        ),
        *("null", "none", "nan", "undefined", "picture", "image", "photo", "img", "caption", "title", "description"),
        *("no caption", "no title", "no description", "no alt text", "image description", "image caption", "figure"),
        *(
            "text",
            "placeholder",
            "placeholder image",
            "default",
            "default image",
            "thumbnail",
            "image alt text",
            "no name",
        ),
        *(
            "no image",
            "test",
            "unknown",
            "new image",
            "my photo",
            "the image",
            "the picture",
            "blank",
            "unnamed",
            "temp",
        ),
        *(
            "无标题",
            "無標題",
            "图片",
            "圖片",
            "图像",
            "照片",
            "暂无描述",
            "暂无标题",
            "暂无图片",
            "图片描述",
            "图片标题",
        ),
        *(
            "请输入标题",
            "请输入描述",
            "请输入内容",
            "未命名",
            "示意图",
            "配图",
            "插图",
            "题图",
            "封面",
            "封面图",
            "缩略图",
        ),
        *(
            "标题",
            "描述",
            "说明",
            "图片说明",
            "无",
            "空",
            "无描述",
            "默认图片",
            "占位图",
            "测试",
            "图",
            "新建",
            "网络图片",
        ),
    ]
)
SAYS_NOTHING = _any(
    r"\blorem ipsum\b",
    r"^(?:no|without) (?:\w+ )?(?:description|caption|title|alt text)(?: (?:available|provided|given|yet|found))?\W*$",
    r"^(?:please )?(?:enter|insert|type|add|write) (?:\w+ ){0,3}(?:caption|title|text|description)(?: here)?\W*$",
    r"^(?:todo|tbd|fixme|xxx)\b",
    r"^(?:description|caption|title|image|alt)(?: text)?:?\s*"
    r"(?:not available|unavailable|missing|pending|none|n/a)\W*$",
    "^(?:暂无|没有|無|暫無)(?:图片)?(?:描述|标题|说明|简介|介绍|內容|内容)\\W*$",
    "^(?:请|在此)(?:输入|填写|添加).{0,6}$",
)

UNFINISHED_EN = re.compile(
    r"(?:\b(?:an|the|and|or|but|their|its|your|our|my|from|into|onto|between|against|beneath|towards?|including|"
    r"such as|as well as|while|which|whose|because|although|where|is|are|was|were|has)"
    r"|\b(?:to|with|of|in|on|by|at|for|from|and|like|holding|wearing|has|is|are|or|under|near|as|behind|over) a"
    r"|(?<!made )(?<!dreamt )(?<!dreamed )(?<!thought )(?<!consists )\bof)$",
    re.IGNORECASE,
)
UNFINISHED_ZH = re.compile("(?:并且|以及|而且|或者|和|与|及|但是|因为|其中|例如|包括|分别是|写着|位于|穿着|拿着)$")
