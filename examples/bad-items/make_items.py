"""Writes 10,000 items, a line each; seven of them are bad. Usage: python3 make_items.py > items.jsonl"""

BAD = {
    17: "raises",
    1500: "kills_its_process",
    2345: "raises",
    4096: "kills_the_worker",
    5555: "ends_its_process",
    7777: "hangs",
    9999: "raises",
}

for index in range(10_000):
    print(f'"{BAD[index]}"' if index in BAD else index)
