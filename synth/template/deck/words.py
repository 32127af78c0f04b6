"""Words that documents have in their places, our own: courses of a menu, subjects of a school, posts in a resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _listed(words: str) -> tuple[str, ...]:
    """Words parted by strokes."""
    return tuple(word.strip() for word in words.split("/"))


WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "course": {
        "en": _listed(
            "Starters / Soups / Salads / Mains / From the Grill / Pasta / Seafood / Desserts / Hot Drinks / "
            "Cold Drinks / Breakfast / Small Plates / Sides / Bakery / Chef's Choice"
        ),
        "zh": _listed(
            "凉菜 / 热菜 / 主食 / 汤羹 / 点心 / 小炒 / 海鲜 / 火锅 / 烧烤 / 甜品 / 热饮 / 冷饮 / 早点 / "
            "时令蔬菜 / 招牌菜"
        ),
    },
    "subject": {
        "en": _listed(
            "Maths / English / History / Biology / Physics / Chemistry / Geography / Art / Music / PE / French / "
            "Drama / Economics / Reading / Library / Science / Coding / Study Hall / Spanish / Civics"
        ),
        "zh": _listed(
            "语文 / 数学 / 英语 / 物理 / 化学 / 生物 / 历史 / 地理 / 政治 / 音乐 / 美术 / 体育 / 信息 / 劳动 / "
            "班会 / 阅读 / 自习 / 科学 / 书法 / 实验"
        ),
    },
    "skill": {
        "en": _listed(
            "Project planning / Public speaking / Data analysis / Negotiation / Photography / Copywriting / "
            "Bookkeeping / Teaching / Interior design / Spreadsheets / German / Team leading / Budgeting / "
            "Research"
        ),
        "zh": _listed(
            "项目管理 / 数据分析 / 公文写作 / 沟通协调 / 英语口语 / 平面设计 / 活动策划 / 财务核算 / 团队管理 / "
            "摄影剪辑 / 市场调研 / 课程设计 / 客户服务 / 编程开发"
        ),
    },
    "job": {
        "en": _listed(
            "Project Manager / Product Designer / Data Analyst / Editor / Nurse / Architect / Teacher / "
            "Accountant / Civil Engineer / Head Chef / Translator / Pharmacist / Sales Manager / Librarian / "
            "Photographer"
        ),
        "zh": _listed(
            "项目经理 / 产品设计师 / 数据分析师 / 编辑 / 护士长 / 建筑师 / 语文教师 / 会计 / 土木工程师 / "
            "行政主厨 / 翻译 / 药剂师 / 销售主管 / 图书管理员 / 摄影师"
        ),
    },
    "company": {
        "en": _listed(
            "Northwind Studio / Harbour Press / Greenfield Foods / Oak & Reed Architects / Bluebird Travel / "
            "Lantern Books / Silverline Motors / Meadow Health / Copper Kettle / Brightside Energy / Fern & Co."
        ),
        "zh": _listed(
            "北辰设计工作室 / 海岸出版社 / 青禾食品有限公司 / 榆木建筑事务所 / 蓝鸟旅行社 / 灯塔书店 / "
            "银线汽车 / 安康医院 / 铜壶茶业 / 明光能源集团 / 远山科技有限公司"
        ),
    },
    "call": {
        "en": _listed(
            "Join us / Book now / Free entry / Sign up today / All welcome / Reserve a seat / Bring a friend / "
            "See you there / Doors open at 7"
        ),
        "zh": _listed("欢迎参加 / 立即报名 / 免费入场 / 扫码预约 / 期待您的光临 / 名额有限 / 携友同行 / 不见不散"),
    },
    "citation": {
        "en": _listed(
            "for outstanding achievement in the annual science competition / "
            "in recognition of dedicated service to the community / "
            "for completing the course in first aid with distinction / "
            "for winning first place in the mathematics contest / in appreciation of ten years of loyal work / "
            "for excellent results in the spring semester / "
            "as best speaker of the national debating championship / "
            "for creative design and careful craftsmanship / for perfect attendance throughout the school year / "
            "in honour of exceptional courage and kindness / "
            "for leading the volunteer team with skill and patience / "
            "for the most promising young musician of the year"
        ),
        "zh": _listed(
            "在本年度科技创新大赛中表现突出，荣获一等奖，特发此证，以资鼓励。 / "
            "在社区志愿服务工作中成绩显著，被评为优秀志愿者。 / 在第三届校园书法比赛中荣获二等奖，特此表彰。 / "
            "圆满完成全部培训课程，考核成绩合格，准予结业。 / "
            "在本学期学习中勤奋刻苦，成绩优异，被评为三好学生。 / 在年度考核中业绩突出，被评为先进工作者。 / "
            "在全市青少年朗诵大赛中表现优异，荣获金奖。 / 热心公益，乐于助人，特授予爱心大使称号。 / "
            "在春季运动会男子长跑项目中获得第一名。 / 在演讲比赛中思路清晰，感情真挚，荣获最佳表现奖。 / "
            "长期坚守岗位，爱岗敬业，特颁此状，以示感谢。 / 参加建筑设计竞赛，作品富有创意，获优秀奖。"
        ),
    },
    "school": {
        "en": _listed(
            "Ashford University / Lakeside College / Saint Mary's School / Riverton Institute / "
            "Northgate Academy / University of Kingsley / Harrow Hill College / Weston School of Art"
        ),
        "zh": _listed(
            "江城大学 / 滨湖师范学院 / 东山中学 / 南溪理工大学 / 北苑艺术学院 / 清河医科大学 / 西岭财经学院 / 云岭大学"
        ),
    },
}
