"""Names that are legal in Verilog, VHDL and C++ alike.

A block's id becomes a module, an entity and a namespace, and its ports keep their names
in all three; none may mean something else there.

Conventions
-----------
- VHDL takes no notice of capitals, so nothing that differs in capitals alone is two
  names, and a reserved word is reserved in any capitals.
- Verilog includes SystemVerilog: many tools read a `.v` file as such.
"""

import re
from collections.abc import Sequence

from trigger.errors import UserError

# VHDL allows neither a leading or trailing underscore nor two in a row.
_LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")

RESERVED = {
    "Verilog": """
        accept_on alias always always_comb always_ff always_latch and assert assign
        assume automatic before begin bind bins binsof bit break buf bufif0 bufif1 byte
        case casex casez cell chandle checker class clocking cmos config const constraint
        context continue cover covergroup coverpoint cross deassign default defparam
        design disable dist do edge else end endcase endchecker endclass endclocking
        endconfig endfunction endgenerate endgroup endinterface endmodule endpackage
        endprimitive endprogram endproperty endsequence endspecify endtable endtask enum
        event eventually expect export extends extern final first_match for force foreach
        forever fork forkjoin function generate genvar global highz0 highz1 if iff ifnone
        ignore_bins illegal_bins implements implies import incdir include initial inout
        input inside instance int integer interconnect interface intersect join join_any
        join_none large let liblist library local localparam logic longint macromodule
        matches medium modport module nand negedge nettype new nexttime nmos nor
        noshowcancelled not notif0 notif1 null or output package packed parameter pmos
        posedge primitive priority program property protected pull0 pull1 pulldown pullup
        pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos
        real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran
        rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared
        sequence shortint shortreal showcancelled signed small soft solve specify
        specparam static string strong strong0 strong1 struct super supply0 supply1
        sync_accept_on sync_reject_on table tagged task this throughout time timeprecision
        timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union
        unique unique0 unsigned until until_with untyped use uwire var vectored virtual
        void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor
        xnor xor""",
    "VHDL": """
        abs access after alias all and architecture array assert assume assume_guarantee
        attribute begin block body buffer bus case component configuration constant
        context cover default disconnect downto else elsif end entity exit fairness file
        for force function generate generic group guarded if impure in inertial inout is
        label library linkage literal loop map mod nand new next nor not null of on open
        or others out package parameter port postponed procedure process property
        protected pure range record register reject release rem report restrict
        restrict_guarantee return rol ror select sequence severity shared signal sla sll
        sra srl strong subtype then to transport type unaffected units until use variable
        vmode vprop vunit wait when while with xnor xor
        ieee std work""",
    "C++": """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char
        char16_t char32_t char8_t class co_await co_return co_yield compl concept const
        const_cast consteval constexpr constinit continue decltype default delete do
        double dynamic_cast else enum explicit export extern false final float for friend
        goto if inline int long main mutable namespace new noexcept not not_eq nullptr
        operator or or_eq override private protected public register reinterpret_cast
        requires return short signed sizeof static static_assert static_cast std struct
        switch template this thread_local throw true try typedef typeid typename union
        unsigned using virtual void volatile wchar_t while xor xor_eq""",
}
"""Reserved words; `main` and the names of libraries are taken too."""

_WORDS = {language: frozenset(text.split()) for language, text in RESERVED.items()}


def check(block: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuses a block whose id or ports cannot be called so in all languages.

    Args:
        block: The block's id.
        inputs: Names of the input words; their ports are called `in_<name>`.
        outputs: Names of the output words; their ports are called `out_<name>`.

    Raises:
        UserError: The first name that cannot be, with the language that objects.
    """
    _legal(block, f"block id {block!r}")
    for side, names in (("in", inputs), ("out", outputs)):
        taken = {f"{side}_valid": "the port of the valid bit"}
        for name in names:
            port = f"{side}_{name}"
            told = f"block {block!r}: {side}put {name!r}, the port {port!r},"
            _legal(port, told)
            if port.lower() in taken:
                raise UserError(
                    f"{told} is also {taken[port.lower()]} (capitals make no "
                    "difference in VHDL); rename one"
                )
            taken[port.lower()] = f"that of the {side}put {name!r}"


def _legal(name: str, told: str) -> None:
    if not _LEGAL.fullmatch(name):
        raise UserError(
            f"{told} is no identifier in Verilog, VHDL and C++; letters, digits and "
            "single underscores between them are, with a letter first"
        )
    for language, words in _WORDS.items():
        if (name.lower() if language == "VHDL" else name) in words:
            raise UserError(
                f"{told} is a reserved word of {language}; choose another name"
            )
