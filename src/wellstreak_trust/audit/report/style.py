"""The style of a report: one sheet, named in the page's own security policy by its digest."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

__all__ = ["POLICY", "STYLE"]

STYLE: Final = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#16202c;--dim:#52606f;--line:#dfe4ea;--accent:#2457c5;
--success:#2b7a78;--denied:#b35c00;--failure:#b3261e;--error:#7b1fa2;--attempted:#6b7785;
--good-bg:#e5f4ec;--good:#0d5c37;--bad-bg:#fde8e6;--bad:#8c1d14;--warn-bg:#fff2dc;--warn:#7a4300;--track:#e9edf2}
@media (prefers-color-scheme:dark){:root{--bg:#0e141b;--card:#16202b;--ink:#e8edf3;--dim:#a4b1bf;--line:#2a3745;
--accent:#8fb4ff;--success:#58c4b8;--denied:#f2a65a;--failure:#ff8a80;--error:#d7a1f0;--attempted:#8c99a8;
--good-bg:#0f2f22;--good:#8fe0b6;--bad-bg:#3a1512;--bad:#ffb4ab;--warn-bg:#35260d;--warn:#ffd08a;--track:#22303d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.125rem;margin:0 0 .75rem}
p{margin:.25rem 0}
.dim,footer{color:var(--dim)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem;margin:1rem 0;
min-width:0}
.grid{display:grid;gap:0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr))}
.tiles{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));margin:1rem 0;padding:0;
list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:.75rem 1rem}
.tiles strong{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.banner{border-left:.5rem solid;border-radius:.75rem;padding:1rem 1.25rem;margin:1rem 0}
.banner h2{margin-bottom:.25rem}
.good{background:var(--good-bg);color:var(--good);border-color:var(--good)}
.bad{background:var(--bad-bg);color:var(--bad);border-color:var(--bad)}
.warn{background:var(--warn-bg);color:var(--warn);border-color:var(--warn)}
.verdicts{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0 0;padding:0;list-style:none}
.verdicts b{font-weight:600}
.findings{margin:0;padding-left:1.25rem}.findings li{margin:.25rem 0}
.chart{display:block;width:100%;height:11rem}
.axis{display:flex;justify-content:space-between;gap:1rem;color:var(--dim);font-size:.8125rem}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0;padding:0;list-style:none;font-size:.875rem}
.legend svg{width:.75rem;height:.75rem;margin-right:.4rem}
.success{fill:var(--success)}.denied{fill:var(--denied)}.failure{fill:var(--failure)}.error{fill:var(--error)}
.attempted{fill:var(--attempted)}.grid-line{fill:var(--line)}.track{fill:var(--track)}.bar{fill:var(--accent)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left;color:var(--dim);font-size:.875rem;padding-bottom:.25rem}
th,td{text-align:left;padding:.4rem .6rem .4rem 0;border-top:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}
thead th{border-top:0;color:var(--dim);font-weight:600;font-size:.8125rem}
tbody th{font-weight:500}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.n:last-child,th.n:last-child{padding-right:.1rem}
.wide th[scope=row],.wide td:nth-child(2){white-space:nowrap}.wide{min-width:44rem}
.wide th,.wide td{overflow-wrap:break-word}
tbody th{min-width:6rem}.wide tbody th{min-width:0}
.meter{display:block;width:100%;min-width:4rem;height:.625rem;margin-top:.4rem}
time,.mono{font-variant-numeric:tabular-nums}
summary{cursor:pointer;color:var(--accent);padding:.25rem 0}
footer{padding-bottom:2rem;font-size:.875rem}
@media (max-width:60rem){.tiles{grid-template-columns:repeat(3,1fr)}}
@media (max-width:32rem){.card{padding:1rem}h1{font-size:1.4rem}.tiles{grid-template-columns:1fr 1fr}
table{font-size:.875rem}td:has(.meter),thead th:empty{display:none}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--line:#bbb;--accent:#123c8f;
--success:#2b7a78;--denied:#b35c00;--failure:#b3261e;--error:#7b1fa2;--attempted:#6b7785;--good-bg:#fff;--good:#0d5c37;
--bad-bg:#fff;--bad:#8c1d14;--warn-bg:#fff;--warn:#7a4300;--track:#eee}
*{print-color-adjust:exact}body{font-size:11pt}.card,.tiles li,tr{break-inside:avoid}.skip{display:none}
.scroll{overflow:visible}details::details-content{content-visibility:visible;block-size:auto}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
"""
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
