"""Korean particles, and words that end as if one were behind them."""

from __future__ import annotations

CASE, DELIMITER, LAST = "case", "delimiter", "last"
"""The three places of a particle, in the order in which several follow each other."""

CLOSED, OPEN, OPEN_OR_L, CLOSED_NOT_L = (
    *("after a final consonant", "after a vowel"),
    *("after a vowel or ㄹ", "after a final consonant but ㄹ"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FORMS = {
    (CASE, ""): "에 에서 에게 에게서 한테 한테서 께 께서 하고",
    (CASE, OPEN_OR_L): "로 로서 로써 로부터",
    (CASE, CLOSED_NOT_L): "으로 으로서 으로써 으로부터",
    (CASE, CLOSED): "과 이랑",
    (CASE, OPEN): "와 랑",
    (DELIMITER, ""): "부터 까지 처럼 만큼 보다 마다 밖에 조차 마저 대로 만",
    (LAST, ""): "의 도 이다 입니다",
    (LAST, CLOSED): "은 이 을 이나 이라도 이든지 이든 아 이란 이라는 이라고 이었다 이었습니다 이며 "
    "이에요",
    (LAST, OPEN): "는 가 를 나 라도 든지 든 야 란 라는 라고 였다 였습니다 예요",
}
PARTICLES = {
    form: (place, after) for (place, after), forms in _FORMS.items() for form in forms.split()
}
"""Each particle with its place and what it follows."""

NUMBERS = _words("한 두 세 네 다섯 여섯 일곱 여덟 아홉 열 몇 여러")

NOT_BEHIND_ANOTHER = _words("아 야 란 이란")
ONLY_BEHIND_DELIMITERS = _words("이 가 을 를")
BEHIND_CASE = {"에": "로", "에게": "로", "한테": "로"}
"""Which case particle may follow another."""

DOUBTFUL = _words("도 만 나 아 야 란 하고 대로")
"""Particles that more often are the end of a name or a noun."""

SHORT_DOUBTS = _words("이 가 은 로 의 과 와 랑")
"""Particles that often are the end of a word of two syllables."""

SHORT = _words(
    "나 너 저 그 책 집 물 불 꽃 산 강 말 소 개 닭 돈 밥 술 배 눈 비 해 달 별 땅 꿈 몸 손 발 왕 "
    "딸 쌀 빵 옷 문 방 밤 낮 곳 것 수 때 명 년 월 일 원 형 섬 법 빛 뇌 피 뼈 새 곰 쥐 뱀 금 은 "
    "철 쇠 돌 흙 숲 벽 성 절 글 시 노 님 팀 군 공 골 표 잎 씨 뜻 힘 숨 병 약 죄 벌 벗 적 앞 뒤 "
    "옆 속 밖 안 위 "
)
"""Nouns of one syllable behind which such a particle is one all the same."""

WORDS = _words(
    # -이
    "길이 높이 깊이 넓이 많이 같이 굳이 더욱이 일찍이 깨끗이 먹이 종이 놀이 구이 "
    # -가
    "화가 휴가 여가 요가 허가 추가 주가 유가 지가 고가 저가 대가 시가 수가 교가 아가 자가 부가 "
    # -의
    "회의 의의 주의 강의 정의 합의 논의 동의 결의 항의 건의 거의 호의 고의 예의 창의 편의 유의 "
    "상의 하의 모의 심의 협의 토의 문의 질의 명의 성의 선의 악의 경의 적의 열의 대의 본의 임의 "
    "불의 숙의 탈의 제의 발의 사의 저의 이의 "
    # -과
    "결과 성과 통과 경과 인과 안과 백과 전과 한과 약과 정신과 산부인과 "
    # -로
    "도로 종로 세로 가로 바로 서로 새로 따로 홀로 별로 절로 유로 피로 미로 회로 수로 항로 활로 "
    "기로 대로 스스로 저절로 함부로 제대로 을지로 충무로 퇴계로 대학로 아폴로 폴로 몬테네그로 "
    # -와 -랑 -에 -께
    "기와 하와 오키나와 사랑 자랑 아리랑 파랑 노랑 고랑 도랑 알로에 오보에 누에 때문에 함께 "
    "뜻밖에 창밖에 "
    # -도 -만 -나 -야 -아
    "제주도 경기도 강원도 충청도 전라도 경상도 황해도 평안도 함경도 거제도 강화도 울릉도 여의도 "
    "바나나 하나 누나 "
    # -은 -을 -는
    "많은 좋은 같은 높은 낮은 깊은 넓은 젊은 늙은 작은 검은 붉은 밝은 굵은 얇은 짧은 싫은 옳은 "
    "남은 받은 죽은 있을 없을 않을 먹을 받을 찾을 죽을 남을 얻을 잡을 읽을 오는 가는 "
    # -만큼 -보다 -이다
    "그만큼 이만큼 저만큼 바라보다 돌보다 내다보다 살펴보다 알아보다 찾아보다 들여다보다 "
    "지켜보다 움직이다 기울이다 망설이다 반짝이다 받아들이다 "
)
"""Words that are whole, whatever the text says."""

ENDINGS = _words(
    "고양이 호랑이 원숭이 어린이 젊은이 늙은이 지팡이 곰팡이 달팽이 올챙이 지렁이 구렁이 거북이 "
    "멍멍이 볶이 걸이 손잡이 물놀이 불놀이 소꿉놀이 민속놀이 윷놀이 쟁이 둥이 덩이 몸뚱이 방망이 "
    "꽃송이 눈송이 포도송이 하루살이 겨우살이 시집살이 해돋이 해맞이 손님맞이 책꽂이 없이 정치가 "
    "투자가 만화가 서양화가 동양화가 서예가 안무가 연주가 독서가 애호가 역사가 작사가 국제회의 "
    "정상회의 국무회의 대책회의 화상회의 본회의 전문의 주치의 수련의 고속도로 자전거도로 "
    "순환도로 파블로 카를로 페드로 산드로 첫사랑 짝사랑 자치도 북도 남도 반도 열도 "
    "군도 "
)
"""How words end that are whole."""

DOUBTFUL_ENDINGS = _words("학과 대로 가와 카와 하는 되는 시키는")
"""How words end that may be whole, so that a text must show that they are not."""

SURNAMES = frozenset("김이박최정강조윤장임한오서신권황안송전홍유고문손양배백허남심노하")
GIVEN_BEFORE_EUN = frozenset("정영경상성승동형명향")
"""김정은, 이영은: names that end as if 은 were behind them."""
NOT_NAMES = _words(
    "이상 고성 남성 조성 안정 한정 서경 전경 배경 이동 노동 남동 하동 유형 정상 문명 양성 "
)
