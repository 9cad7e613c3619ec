"""What TeX's commands stand for that take no argument."""

from __future__ import annotations

__all__ = [
    "BIG",
    "DELIMITERS",
    "FUNCTIONS",
    "GREEK",
    "INTEGRALS",
    "LIMITS",
    "OPERATORS",
    "ORDINARY",
    "SPACES",
]


def _table(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


GREEK = _table(
    """alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ
    iota ι kappa κ varkappa ϰ lambda λ mu μ nu ν xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ
    sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω digamma ϝ
    Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"""
)
"""Letters; the capitals stand upright."""

ORDINARY = _table(
    """infty ∞ partial ∂ nabla ∇ hbar ℏ hslash ℏ ell ℓ Re ℜ Im ℑ wp ℘ aleph ℵ beth ℶ imath ı
    jmath ȷ emptyset ∅ varnothing ∅ prime ′ backprime ‵ angle ∠ measuredangle ∡ triangle △ top ⊤
    bot ⊥ forall ∀ exists ∃ nexists ∄ complement ∁ ldots … dots … dotsc … vdots ⋮ ddots ⋱
    hdots … degree ° dagger † ddagger ‡ S § P ¶ copyright © pounds £ yen ¥ checkmark ✓ square □
    Box □ blacksquare ■ lozenge ◊ Diamond ◇ bigstar ★ clubsuit ♣ diamondsuit ♢ heartsuit ♡
    spadesuit ♠ flat ♭ natural ♮ sharp ♯ % % $ $ # # _ _ & &"""
)
"""Signs that are set like a letter."""

OPERATORS = _table(
    """pm ± mp ∓ times × div ÷ cdot ⋅ ast ∗ star ⋆ circ ∘ bullet ∙ oplus ⊕ ominus ⊖ otimes ⊗
    oslash ⊘ odot ⊙ wedge ∧ land ∧ vee ∨ lor ∨ cap ∩ cup ∪ sqcap ⊓ sqcup ⊔ uplus ⊎ setminus ∖
    smallsetminus ∖ amalg ⨿ wr ≀ lnot ¬ neg ¬ cdots ⋯ dotsb ⋯ dotsm ⋯ cdotp ⋅ colon : rtimes ⋊
    ltimes ⋉ bowtie ⋈ le ≤ leq ≤ leqslant ⩽ ge ≥ geq ≥ geqslant ⩾ ne ≠ neq ≠ equiv ≡ approx ≈
    approxeq ≊ cong ≅ sim ∼ simeq ≃ propto ∝ varpropto ∝ doteq ≐ triangleq ≜ coloneqq ≔ eqqcolon ≕
    ll ≪ gg ≫ lll ⋘ ggg ⋙ lesssim ≲ gtrsim ≳ prec ≺ succ ≻ preceq ⪯ succeq ⪰ subset ⊂ supset ⊃
    subseteq ⊆ supseteq ⊇ subsetneq ⊊ supsetneq ⊋ nsubseteq ⊈ sqsubseteq ⊑ sqsupseteq ⊒ in ∈ ni ∋
    owns ∋ notin ∉ mid ∣ nmid ∤ parallel ∥ nparallel ∦ perp ⊥ vdash ⊢ dashv ⊣ models ⊨ vDash ⊨
    Vdash ⊩ asymp ≍ smile ⌣ frown ⌢ therefore ∴ because ∵ to → rightarrow → longrightarrow ⟶
    gets ← leftarrow ← longleftarrow ⟵ leftrightarrow ↔ longleftrightarrow ⟷ Rightarrow ⇒
    Longrightarrow ⟹ implies ⟹ Leftarrow ⇐ Longleftarrow ⟸ impliedby ⟸ Leftrightarrow ⇔
    Longleftrightarrow ⟺ iff ⟺ mapsto ↦ longmapsto ⟼ uparrow ↑ downarrow ↓ updownarrow ↕
    Uparrow ⇑ Downarrow ⇓ nearrow ↗ searrow ↘ swarrow ↙ nwarrow ↖ hookrightarrow ↪
    hookleftarrow ↩ rightharpoonup ⇀ rightharpoondown ⇁ leftharpoonup ↼ leftharpoondown ↽
    rightleftharpoons ⇌ leftrightharpoons ⇋ rightsquigarrow ⇝ leadsto ⇝ upharpoonright ↾
    restriction ↾ nrightarrow ↛ nleftarrow ↚ gt > lt <"""
)
"""Signs with space around them: operations, relations and arrows."""

BIG = _table(
    """sum ∑ prod ∏ coprod ∐ bigcup ⋃ bigcap ⋂ bigsqcup ⨆ bigvee ⋁ bigwedge ⋀ bigoplus ⨁
    bigotimes ⨂ bigodot ⨀ biguplus ⨄"""
)
"""Large operators, whose bounds stand above and below in a display."""

INTEGRALS = _table("int ∫ iint ∬ iiint ∭ oint ∮ oiint ∯ smallint ∫")
"""Large operators, whose bounds stand beside them."""

FUNCTIONS = frozenset(
    """arccos arcsin arctan arg cos cosh cot coth csc deg dim exp hom ker lg ln log sec sin sinh
    tan tanh sgn""".split()  # noqa: SIM905 - a list of two dozen lines is harder to read
)
"""Names of functions."""

LIMITS = {
    **_table("lim lim max max min min sup sup inf inf det det gcd gcd Pr Pr"),
    "limsup": "lim sup",
    "liminf": "lim inf",
    "varlimsup": "lim sup",
    "varliminf": "lim inf",
    "argmax": "arg max",
    "argmin": "arg min",
    "injlim": "inj lim",
    "projlim": "proj lim",
}
"""Names of functions, whose bounds stand below in a display."""

DELIMITERS = {
    **{sign: sign for sign in "()[]|/"},
    **_table(
        """{ { } } | ‖ lbrace { rbrace } lbrack [ rbrack ] langle ⟨ rangle ⟩ vert | lvert | rvert |
        Vert ‖ lVert ‖ rVert ‖ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lgroup ⟮ rgroup ⟯ ulcorner ⌜
        urcorner ⌝ llcorner ⌞ lrcorner ⌟ backslash ∖ uparrow ↑ downarrow ↓ Uparrow ⇑ Downarrow ⇓"""
    ),
}
r"""What may stand behind ``\left``: characters, and commands without their backslash."""

SPACES = {
    ",": "0.167em",
    "thinspace": "0.167em",
    ":": "0.222em",
    ">": "0.222em",
    "medspace": "0.222em",
    ";": "0.278em",
    "thickspace": "0.278em",
    " ": "0.333em",
    "enspace": "0.5em",
    "quad": "1em",
    "qquad": "2em",
    "!": "-0.167em",
    "negthinspace": "-0.167em",
}
"""Spaces, and how wide they are."""
