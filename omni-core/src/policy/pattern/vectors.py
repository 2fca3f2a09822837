#!/usr/bin/env python3
"""Writes vectors.json: [pattern, name, matches] as Python's fnmatch.fnmatchcase decides them."""
import fnmatch
import json
import pathlib
import random

PATTERNS = """
||*|**|***|?|??|*?|?*|a|a*|*a|*a*|a**|**a|a*b|a*b*c|get_*|list_*|analyze_*_query|compare_*_plans|*_history|drop_*
get_?|get_??|[abc]|[!abc]|[^abc]|[a-c]|[!a-c]|[c-a]|[!c-a]|[a-]|[-a]|[a-c-e]|[]|[!]|[]]|[!]]|[]a]|[!]a]|[]-a]|[[]|[[a]
[a|[!a|a[|a[b|[|[!|[]a|{a,b}|{a|a}|{a,b}*|[{]|[}]|\\|\\*|a\\b|[\\]|[\\a]|[a\\-c]|/|*/|/*|**/a|a/**|a/**/b|*/*|[/]|[!/]
.|*.|.*|*.*|*.a|a.*|a.b|*.a.b|?.?|..|*..|[.]|[!.]|^|[^]|[!^]|[^^]|[!!]|[!]|[!-]|[-]|[--a]|[a--]|[!--a]|[^!]|[-^!]|[^-]|$|+|(a|a)
|a+|a|b|[a&&b]|[a||b]|[~~]|[a-c][0-9]|*[0-9]|[0-9]*|[A-Z]*|A|é|?é|é*|[é]|[!é]|[a-é]|[é-ü]|*é*|日?|日*|ß
""".strip().replace("\n", "|").split("|")

NAMES = """
||a|b|c|d|e|ab|abc|aab|acb|a-b|A|-|!|^|[|]|[]|[a|[!a|a[|a[b|{a,b}|{a|a}|{|}|\\|\\*|a\\b|\\a|/|a/|/a|a/b|a/x/b|x/a|//
.|..|a.|.a|a.a|a.b|a.b.a|x.a.b|a..|$|+|(a|a)|a+|&|~|a1|1|12|z9|get_|get_x|get_xy|get_database_health|list_tools|analyze_oracle_query
|analyze_query|analyze__query|compare_oracle_query_plans|compare_plans|session_history|drop_table|Get_x|é|aé|éa|ü|日本|日|ß|ss|a\nb|\n| | a
""".strip("\n").replace("\n|", "|").replace("\n", "|").replace("a\\nb", "a\nb").split("|")


def main():
    random.seed(7)
    alphabet = "ab*?[]!-^.{},\\/é1"
    patterns = list(dict.fromkeys(PATTERNS)) + [
        "".join(random.choice(alphabet) for _ in range(random.randint(1, 7))) for _ in range(300)
    ]
    names = list(dict.fromkeys(NAMES)) + [
        "".join(random.choice("ab[]!-^.{},\\/é1") for _ in range(random.randint(1, 5))) for _ in range(60)
    ]
    vectors = []
    for pattern in patterns:
        hits = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        misses = [name for name in names if not fnmatch.fnmatchcase(name, pattern)]
        vectors += [[pattern, name, True] for name in random.sample(hits, min(4, len(hits)))]
        vectors += [[pattern, name, False] for name in random.sample(misses, min(3, len(misses)))]
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors)
    pathlib.Path(__file__).with_name("vectors.json").write_text(f"[\n{lines}\n]\n")


main()
