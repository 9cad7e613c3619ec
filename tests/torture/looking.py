"""What is looked at where a hostile text is shown, and holes that prove that it is seen."""

from __future__ import annotations

from typing import Any

from tests.rendering.hostile import CANARY

__all__ = ["AROUND", "HOLES", "INSIDE", "unseen"]

HOLES = {
    "script": "<script>window.pwned = 1; window.pwned++</script>",
    "image": f'<img src="{CANARY}/planted.png">',
    "dialog": "<script>alert(1)</script>",
    "frame": '<iframe srcdoc="x"></iframe>',
    "overlay": '<p style="position:fixed;inset:0">over</p>',
    "clobbering": '<b id="document">x</b>',
    "link": '<a href="javascript:void 0">x</a>',
    "page": "<style>body { opacity: 0.5 }</style>",
}
"""What must be seen: a way out for each of the things that are looked at."""

INSIDE = """outputs => {
    const odd = [];
    const own = "mjx-container, .MathJax, .nba-button, .nba-icon";
    for (const element of outputs.flatMap(output => [...output.querySelectorAll("*")])) {
        const name = element.localName;
        if (["script", "iframe", "frame", "form", "input", "object", "embed", "link", "meta",
             "base", "img", "video", "audio", "svg", "button", "template"].includes(name)
            && !element.closest(own)) odd.push(name);
        if (element.id && !element.closest("mjx-container")) odd.push("#" + element.id);
        for (const attribute of element.attributes)
            if (attribute.name.startsWith("on")) odd.push(attribute.name);
        if (name === "a" && !["http:", "https:", "mailto:"].includes(element.protocol))
            odd.push(element.protocol);
        if (["fixed", "sticky"].includes(getComputedStyle(element).position)) odd.push("fixed");
    }
    return odd;
}"""
"""What may not be inside of an output."""

AROUND = """() => ({
    pwned: "pwned" in window, title: document.title,
    // JupyterLab puts cells into the page as they come into sight.
    cells: window.jupyterapp?.shell.currentWidget.content.widgets.length
        ?? document.querySelectorAll(".jp-Cell").length,
    frames: document.querySelectorAll("iframe, frame, object, embed, base, form").length,
    body: ["display", "opacity", "visibility", "position"].map(
        name => getComputedStyle(document.body)[name]),
    bar: [...document.querySelectorAll("#jp-top-panel, #jp-menu-panel")].map(
        bar => JSON.stringify(bar.getBoundingClientRect())),
})"""
"""What of the page around an output may not change."""


def unseen(page: dict[str, Any]) -> list[str]:
    """The holes that nothing shows of."""
    seen = {
        "script": page["around"]["pwned"],
        "image": f"{CANARY}/planted.png" in page["asked"],
        "dialog": "dialog" in page["asked"],
        "frame": "iframe" in page["odd"],
        "overlay": "fixed" in page["odd"],
        "clobbering": "#document" in page["odd"],
        "link": "javascript:" in page["odd"],
        "page": "0.5" in page["around"]["body"],
    }
    return [name for name, is_seen in seen.items() if not is_seen]
