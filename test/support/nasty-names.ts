/** Names that a file and a key can both have, and that somebody's escaping gets wrong. */
export const NASTY_NAMES = [
  ...["line\nbreak", "carriage\rreturn", "crlf\r\n", "tab\t", "bell\u0007", "escape\u001b[31m", "one\u0001", "delete\u007f", "next\u0085"],
  ...[" ", "  ends with blanks  ", "no-break\u00a0", "\u2028separator\u2029", "'single'", '"double"', "`back`", "$(shell)", "back\\slash"],
  ...["100%", "%41", "%2F", "%0a", "%zz", "%", "hash#fragment", "question?query=1&b=2", "plus+plus", "a+b c%20d", "semi;colon", "key=value"],
  ...["-rf", "--help", "~", "...", "..a", "a..", ".hidden", "*", "[a-z]", "{a,b}", "!not", "file:", "s3:x", "C:\\x", "http:"],
  ...["&amp;", "<b>&#1;<b>", "]]>", "😀", "👩‍👩‍👧", "e\u0301", "\u00e9", "\u202egnp.exe", "\ufeffbom", "\ufffe", "\uffff", "\ufffd", "日本語", "__proto__"],
  ...["x".repeat(240), "é".repeat(120), "null", "0"],
] as const; // prettier-ignore
