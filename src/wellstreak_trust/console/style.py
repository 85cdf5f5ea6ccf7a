"""The style of the page: one sheet, named in the page's own security policy by its digest."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

__all__ = ["POLICY", "STYLE"]

STYLE: Final = """
:root{color-scheme:light dark;--bg:#f7f7f5;--card:#fff;--ink:#1b1f24;--dim:#5b636d;--line:#e4e5e1;--soft:#f1f2ef;
--accent:#1f5fae;--good:#17653c;--good-bg:#e6f3ea;--good-fill:#3f9a68;--busy:#1d5a9e;--busy-bg:#e7f0fa;
--busy-fill:#5b94d3;--warn:#7d4a00;--warn-bg:#fdf1d9;--warn-fill:#d9962b;--bad:#a3231a;--bad-bg:#fceae8;
--bad-fill:#cf4a40;--quiet:#565e67;--quiet-bg:#eeefec;--quiet-fill:#a8aeb5;--none:#dcded9}
@media (prefers-color-scheme:dark){:root{--bg:#101214;--card:#181b1f;--ink:#e8eaed;--dim:#a2a9b2;--line:#2a2f35;
--soft:#1f2328;--accent:#8ab8f2;--good:#86d6a8;--good-bg:#14301f;--good-fill:#4aa873;--busy:#9cc6f5;--busy-bg:#15293f;
--busy-fill:#5b94d3;--warn:#f0c274;--warn-bg:#33260d;--warn-fill:#d9962b;--bad:#ffa79e;--bad-bg:#3c1a17;
--bad-fill:#d9584e;--quiet:#b3bac2;--quiet-bg:#262b31;--quiet-fill:#6b737c;--none:#33393f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.top,main,footer{max-width:78rem;margin:0 auto;padding:0 1.5rem}
.top{padding-top:1.5rem}
.brand{margin:0 0 .75rem;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
.top nav{border-bottom:1px solid var(--line);overflow-x:auto;scrollbar-width:none}
.top ul{display:flex;gap:.25rem;list-style:none;margin:0;padding:0 2px}
.top a{display:block;padding:.55rem .75rem .65rem;color:var(--dim);text-decoration:none;white-space:nowrap;
border-bottom:2px solid transparent;border-radius:.35rem .35rem 0 0}
.top a:hover{color:var(--ink);background:var(--soft)}
.top a[aria-current]{color:var(--ink);font-weight:600;border-bottom-color:var(--accent)}
main{padding-top:1.75rem;padding-bottom:1rem}
main:focus{outline:0}
h1{font-size:1.7rem;line-height:1.2;letter-spacing:-.02em;margin:0 0 1.25rem;font-weight:650}
h2{font-size:1rem;margin:0 0 .75rem;font-weight:620;overflow-wrap:anywhere}
p{margin:.25rem 0}
a{color:var(--accent);text-underline-offset:.18em;text-decoration-thickness:1px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:.25rem}
.top a:focus-visible{outline-offset:-3px}
.skip{position:absolute;left:-99rem;top:0}
.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.6rem 1rem;z-index:1;border-radius:.4rem}
.dim,.hint,.empty,footer{color:var(--dim)}.dim{font-weight:400}
.hint{font-size:.8125rem;margin-top:.75rem}
.empty{padding:1rem 0}
.crumbs{color:var(--dim);margin:-.5rem 0 1rem;overflow-wrap:anywhere}
.card,.tile{background:var(--card);border:1px solid var(--line);border-radius:.75rem;min-width:0}
.card{padding:1.25rem 1.5rem;margin:0 0 1.25rem}
.tiles{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));margin-bottom:1.25rem}
.tile{padding:1.1rem 1.35rem 1.2rem}
.tile h2{margin:0}.tile h2 a{color:var(--dim);text-decoration:none;font-weight:550;font-size:.9375rem}
.tile h2 a:hover{color:var(--ink);text-decoration:underline}
.figure{margin:.1rem 0 .7rem;color:var(--dim)}
.figure strong{color:var(--ink);font-size:2.1rem;line-height:1.2;font-weight:600;letter-spacing:-.03em;
font-variant-numeric:tabular-nums;margin-right:.15rem}
.shares{display:block;width:100%;height:.5rem;border-radius:.25rem;margin:0 0 .8rem}
.counts{display:flex;flex-wrap:wrap;gap:.4rem 1rem;list-style:none;margin:0;padding:0;font-size:.875rem}
.counts b,.summary b{font-weight:600;font-variant-numeric:tabular-nums;margin:0 .5rem 0 .4rem}.counts b{margin-right:0}
.chip{display:inline-flex;align-items:center;gap:.4em;padding:.05rem .6rem;border-radius:1rem;font-size:.8125rem;
font-weight:550;line-height:1.5rem;white-space:nowrap}
.chip [aria-hidden]{font-size:.7em}
.good{color:var(--good);background:var(--good-bg)}.busy{color:var(--busy);background:var(--busy-bg)}
.warn{color:var(--warn);background:var(--warn-bg)}.bad{color:var(--bad);background:var(--bad-bg)}
.quiet{color:var(--quiet);background:var(--quiet-bg)}
.f-good{fill:var(--good-fill)}.f-busy{fill:var(--busy-fill)}.f-warn{fill:var(--warn-fill)}.f-bad{fill:var(--bad-fill)}
.f-quiet{fill:var(--quiet-fill)}.f-none{fill:var(--none)}
.notice{border-left:.3rem solid;border-radius:.5rem;padding:.9rem 1.2rem;margin:0 0 1.25rem;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,14rem),1fr));gap:1rem 1.5rem;margin:0 0 .5rem}
.facts dt{color:var(--dim);font-size:.8125rem}.facts dd{margin:.1rem 0 0;overflow-wrap:anywhere}
.filters{display:flex;flex-wrap:wrap;align-items:flex-start;gap:.75rem 1rem;margin:0 0 1.25rem}
.field{flex:0 1 13rem;min-width:0}.wide{flex:1 1 26rem}
.field .hint{margin:.3rem 0 0}
label{display:block;font-size:.8125rem;color:var(--dim);margin-bottom:.2rem}
input,select,button{font:inherit;color:inherit;width:100%;height:2.5rem;padding:0 .7rem;border-radius:.5rem;
border:1px solid var(--quiet-fill);background:var(--card)}
[aria-invalid]{border:2px solid var(--bad)}
button{width:auto;margin-top:1.5rem;padding:0 1.1rem;background:var(--ink);border-color:var(--ink);color:var(--bg);
font-weight:600;cursor:pointer}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9063rem}
caption{text-align:left;color:var(--dim);font-size:.8125rem;padding-bottom:.5rem;overflow-wrap:anywhere}
th,td{text-align:left;padding:.65rem 1rem .65rem 0;border-top:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere;font-weight:400}
th:last-child,td:last-child{padding-right:0}
thead th{border-top:0;color:var(--dim);font-size:.8125rem;padding-top:.25rem;padding-bottom:.4rem}
tbody th{font-weight:550;min-width:7rem}td{min-width:5.5rem}
thead th{overflow-wrap:normal}
.n{text-align:right;font-variant-numeric:tabular-nums}
time{font-variant-numeric:tabular-nums}
.at{color:var(--dim);font-size:.8125rem;font-weight:400;display:block;white-space:nowrap}
.facts .at{display:inline;margin-left:.35rem}
.detail{display:block;color:var(--dim);font-size:.8438rem;font-weight:400}
code,pre{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{margin:0;background:var(--soft);border-radius:.5rem;padding:1rem 1.2rem;white-space:pre-wrap;overflow-wrap:anywhere}
.probes{list-style:none;margin:0;padding:0}.probes b{font-weight:550}
.seqs{display:inline-flex;flex-wrap:wrap;gap:.2rem .6rem;font-variant-numeric:tabular-nums}
.trend{display:flex;align-items:center;gap:.75rem}
.uptime{display:block;width:100%;max-width:9rem;min-width:5rem;height:1.4rem}
.card>.trend .uptime{max-width:none;height:3.25rem}
.share{font-variant-numeric:tabular-nums;white-space:nowrap;font-size:.875rem}
.summary{margin:0 0 1rem;display:flex;flex-wrap:wrap;gap:.3rem .5rem;align-items:center}
.pager{display:flex;justify-content:space-between;margin-top:1rem;padding-top:1rem;border-top:1px solid var(--line)}
.pager .next{margin-left:auto}
footer{padding-top:.5rem;padding-bottom:2.5rem;font-size:.8125rem;overflow-wrap:anywhere}
@media (max-width:52rem){.top,main,footer{padding-left:1rem;padding-right:1rem}.card{padding:1rem 1.1rem}
.field{flex:1 1 9rem}.wide{flex:1 1 100%}
.stack,.stack tbody,.stack tr,.stack th[scope=row],.stack td,.stack caption{display:block;width:100%}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.stack tr{padding:.85rem 0;border-top:1px solid var(--line)}
.stack th[scope=row],.stack td{border:0;padding:.18rem 0;text-align:left}
.stack th[scope=row]{font-size:1rem;padding-bottom:.35rem}
.stack td{display:grid;grid-template-columns:7rem minmax(0,1fr);gap:.75rem}
.stack td::before{content:attr(data-label);color:var(--dim);font-size:.8125rem}
.stack .at{display:inline;margin-left:.35rem;white-space:normal}
.top ul{flex-wrap:wrap;gap:.15rem}.top nav{padding-bottom:.5rem}
.top a{padding:.3rem .6rem;border:0;border-radius:.4rem}.top a[aria-current]{background:var(--quiet-bg)}
.top a:focus-visible{outline-offset:-2px}}
@media (max-width:26rem){h1{font-size:1.45rem}.figure strong{font-size:1.8rem}
.stack td{grid-template-columns:5.75rem minmax(0,1fr)}button{width:100%;margin-top:.25rem}.field{flex:1 1 8rem}
.wide{flex:1 1 100%}.stack td .at{display:block;margin:0}}
@media (forced-colors:active){.chip{border:1px solid}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--line:#bbb;--soft:#f4f4f4}
*{print-color-adjust:exact}body{font-size:10pt}.top nav,.filters,.pager,.skip{display:none}
.card,.tile{border-color:#bbb}.tile,tr{break-inside:avoid}main{padding-top:.5rem}}
"""
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
