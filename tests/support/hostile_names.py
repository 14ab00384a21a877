"""Names of files that lead elsewhere, or that no file should have."""

from __future__ import annotations

HOSTILE = (
    *(
        "../out.gguf",
        "a/../../out.gguf",
        "..",
        ".",
        "",
        "/etc/out.gguf",
        "//out.gguf",
        "a//b.gguf",
        "a/./b.gguf",
    ),
    *(
        "..\\out.gguf",
        "\\\\server\\out.gguf",
        "C:\\out.gguf",
        "C:out.gguf",
        "a/b.gguf:stream",
        "~/../out.gguf",
    ),
    *(
        "a\0.gguf",
        "a\n.gguf",
        "a\r\n.gguf",
        "a\x1b[2J.gguf",
        "a\x7f.gguf",
        "a\u202efugg.gguf",
        "a\u200b.gguf",
    ),
    *(
        "a\u2028b.gguf",
        "\ud800.gguf",
        "\ufeffa.gguf",
        "\uff0e\uff0e/out.gguf",
        "..\uff0fout.gguf",
        "\u2024\u2024/a.gguf",
    ),
    *(
        "--help.gguf",
        "a/-rf.gguf",
        "NUL.gguf",
        "a/con",
        "Com1.gguf",
        "lpt9.x.gguf",
        " a.gguf",
        "a.gguf ",
        "a.gguf.",
    ),
    *("a /b.gguf", "a./b.gguf", "a" * 241 + ".gguf", "/".join(["abcdefgh"] * 120), "\u00e9" * 125 + ".gguf"),
    *("a*.gguf", "a?.gguf", 'a".gguf', "a|b.gguf", "<a>.gguf"),
)
