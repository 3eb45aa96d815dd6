"""How the report page looks: by day, by night, on a phone and on paper."""

STYLE = """
:root{--paper:#fff;--sheet:#f6f7f9;--ink:#181b20;--soft:#59626e;--line:#e1e5ea;--rule:#c3cad3;
--blue:#1d5fbe;--blue-rgb:29 95 190;--warm:#b04a12;--warm-rgb:214 104 34;--good:#1a7048;
--bad:#b3261e;--amber:#fff6e0;--amber-line:#e6c46a;--amber-ink:#6a4a00;--grey:#77818d}
@media (prefers-color-scheme:dark){:root{--paper:#12151a;--sheet:#1a1e25;--ink:#e7eaee;
--soft:#9ea8b5;--line:#2a3039;--rule:#434c59;--blue:#7db2ff;--blue-rgb:88 150 245;--warm:#f2a36b;
--warm-rgb:226 122 58;--good:#6fce9d;--bad:#ff8f86;--amber:#2a2413;--amber-line:#6b5620;
--amber-ink:#f0d48a;--grey:#8993a0}}
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Apple SD Gothic Neo","Noto Sans KR",
"Noto Sans CJK KR","Malgun Gothic",sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:60rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:2.5rem}
h1{font-size:2.25rem;line-height:1.15;letter-spacing:-.015em;margin:.25rem 0 .5rem;font-weight:700}
h2{font-size:1.375rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 1rem;font-weight:650}
h3{font-size:1rem;margin:2rem 0 .5rem;font-weight:650}
p{margin:0 0 .75rem}
small,.fine,.about,.over,caption,figcaption,.across,dt{font-size:.8125rem;color:var(--soft);
line-height:1.45}
.over{margin:0;font-weight:600;letter-spacing:.01em}
.over span{font-weight:400;margin-left:.5rem;padding-left:.625rem;border-left:1px solid var(--rule)}
.about{font-size:.9375rem;margin:0 0 2rem}
.about>span:not(:last-child)::after{content:"\\00b7";margin:0 .5rem;color:var(--rule)}
.headline{display:grid;grid-template-columns:minmax(11rem,15rem) 1fr;gap:1.5rem 3rem;
padding:1.75rem 0;border-top:1px solid var(--line);align-items:start}
.big p{margin:0}
.what{font-weight:600}
.number{font-size:4rem;line-height:1.1;font-weight:700;letter-spacing:-.03em;
font-variant-numeric:tabular-nums;color:var(--blue)}
.number.long{font-size:2.5rem;line-height:1.35}
.span{font-size:1.125rem;font-variant-numeric:tabular-nums}
.big .look{display:inline-block;margin-top:.875rem;font-size:.8125rem;color:var(--soft);
border:1px solid var(--line);border-radius:1rem;padding:.0625rem .75rem}
.big .look.loud{background:var(--amber);border-color:var(--amber-line);color:var(--amber-ink)}
.verdict{font-size:1.125rem;line-height:1.45;font-weight:600;margin-bottom:1rem;text-wrap:pretty}
.verdict.good,.verdict.bad,.verdict.even{padding-left:.875rem;border-left:4px solid var(--grey)}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}
.warnings{background:var(--amber);border:1px solid var(--amber-line);color:var(--amber-ink);
border-radius:.5rem;padding:.875rem 1.25rem;margin:0 0 1.5rem;font-size:.9375rem}
.warnings h2{font-size:.9375rem;margin:0 0 .25rem;letter-spacing:0}
ul{margin:0 0 .75rem;padding-left:1.125rem}
li{margin:.25rem 0}
.warnings ul{margin:0}
.forest+ul{margin-top:1.25rem}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:.75rem 0;font-size:.875rem;
border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
a{color:var(--blue);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
section{padding:2.5rem 0;border-bottom:1px solid var(--line)}
section:last-child{border-bottom:0}
.lead{color:var(--soft);max-width:44rem}
footer{padding-bottom:3rem;font-size:.8125rem;color:var(--soft)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;
font-size:.8125rem}
pre{background:var(--sheet);border-radius:.5rem;padding:.875rem 1rem;margin:0;white-space:pre-wrap}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left;padding:0 0 .625rem}
th,td{padding:.4375rem .75rem .4375rem 0;text-align:left;vertical-align:top;font-weight:400}
th:last-child,td:last-child{padding-right:0}
thead th,thead td{font-size:.8125rem;color:var(--soft);font-weight:600;
border-bottom:1px solid var(--rule);vertical-align:bottom}
thead th small{font-weight:400}
tbody tr:not(:last-child)>*{border-bottom:1px solid var(--line)}
.fig{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .fig{white-space:normal}
.scroll{overflow-x:auto}
.figures td small,.labels td small{display:block}
.figures th small,.labels th small{display:block}
.figures th code{font-size:.75rem;margin-right:.5rem}
.figures thead .fig{width:19%}
.figures .main>*{font-weight:650}
.figures .main small{font-weight:400}
svg{overflow:visible}
.plot{position:relative}
.plot svg{position:absolute;left:0;right:0;top:0;width:100%;height:100%}
td.plot{padding:0}
.forest{table-layout:fixed}
.forest th:first-child{width:31%}
.forest .fig{width:27%;padding-left:1.5rem}
.forest th small{white-space:nowrap}
.forest td.fig{white-space:normal}
.forest td.fig small{display:inline-block;white-space:nowrap}
.forest tbody tr>*{border:0!important;vertical-align:middle}
.forest thead th:first-child{color:var(--ink)}
.forest tbody tr:first-child>*{padding-top:.625rem}
.forest .axis td{height:1.25rem;padding:0}
.forest .axis svg{height:1.25rem}
.beside .forest th:first-child{width:34%}
.beside .forest .fig{width:34%}
.beside tbody tr:first-child th,.beside tbody tr:first-child .fig{font-weight:650}
.beside small{font-weight:400}
.grid{stroke:var(--line)}
.mark{stroke:var(--soft);stroke-dasharray:3 3}
.whisker{stroke:var(--grey);stroke-width:2.5;stroke-linecap:round}
.dot{fill:var(--grey);stroke:var(--paper);stroke-width:1.5}
.model .whisker{stroke:var(--blue)}.model .dot{fill:var(--blue)}
.warm .whisker{stroke:var(--warm)}.warm .dot{fill:var(--warm)}
.tick{font-size:.75rem;fill:var(--soft);font-variant-numeric:tabular-nums}
.track{fill:var(--line)}
.full{fill:rgb(var(--blue-rgb)/.62)}
.warm .full{fill:rgb(var(--warm-rgb)/.62)}
.bar .whisker{stroke:var(--ink);stroke-width:1.5;opacity:.75}
.labels .plot{width:24%;min-width:5rem}
.plot svg.bar{top:.4375rem;height:1.45rem}
.labels{min-width:34rem}
.pairs{table-layout:fixed}.pairs .fig{width:4.5rem;padding-right:1rem}.pairs .plot{width:35%}
.matrix{width:auto;border-collapse:separate;border-spacing:3px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);
white-space:nowrap}
.matrix-row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));
gap:1.5rem 3rem;align-items:start}
.matrix-row.tall{grid-template-columns:1fr}
.matrix th,.matrix td{border:0!important;padding:.5rem .625rem}
.matrix thead th{text-align:center;color:var(--ink);font-weight:500}
.matrix thead td{padding-left:0;white-space:nowrap}
.matrix tbody th{min-width:5.5rem;max-width:12rem;text-align:right;font-size:.8125rem;
font-weight:500;vertical-align:middle;padding-left:0}
.matrix td.hit,.matrix td.miss{text-align:center;min-width:5rem;height:3rem;vertical-align:middle;
border-radius:.25rem;font-variant-numeric:tabular-nums;
background:rgb(var(--blue-rgb)/calc(.05 + var(--s)*.55))}
.matrix td.miss{background:rgb(var(--warm-rgb)/calc(.04 + var(--s)*.7))}
.matrix.steep td.hit,.matrix.steep td.miss{min-width:3.25rem;padding:.25rem}
.steep thead th{vertical-align:bottom;padding-bottom:.375rem}
.steep thead th span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:11rem;
display:inline-block;white-space:nowrap}
.parts{display:grid;gap:1.75rem}
.figures-row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));
gap:2rem 3rem;align-items:start}
figure{margin:0;min-width:0}
figcaption{font-weight:600;color:var(--ink);margin-bottom:.75rem}
.chart{padding:0 .5rem 1.25rem 3.25rem}
.chart>svg{display:block;width:100%;height:15rem}
.chart.square>svg{height:auto;aspect-ratio:1;max-height:22rem}
.chart.low>svg{height:9rem}
.across{text-align:center;margin:1.5rem 0 0}
.aside{align-self:center;color:var(--soft)}
.ideal{fill:none;stroke:var(--grey);stroke-dasharray:4 4}
.curve{fill:none;stroke:var(--blue);stroke-width:2;stroke-linejoin:round}
.curve.warm{stroke:var(--warm);stroke-dasharray:2 4}
.curve.good{stroke:var(--good);stroke-dasharray:8 4}
.chart .whisker{stroke:var(--blue);opacity:.55}
.chart .dot{fill:var(--blue)}
.band{fill:rgb(var(--blue-rgb)/.16);stroke:none}
.speck{fill:rgb(var(--blue-rgb)/.45)}
.past{fill:none;stroke:var(--grey);stroke-width:1.25}
.truth{fill:none;stroke:var(--ink);stroke-width:1.75;stroke-linejoin:round}
.band.inner{fill:rgb(var(--blue-rgb)/.22)}
.chart.series>svg{height:11rem}
.key.lines li::before{width:1.25rem;height:2px;border-radius:0;vertical-align:middle}
.key.lines .truth::before{background:var(--ink)}
.key.lines .median::before{background:var(--blue)}
.key.lines .wide::before{height:.625rem;background:rgb(var(--blue-rgb)/.28)}
.key.lines .dashed::before{background:none;border-top:2px dashed var(--grey);height:0}
details{margin-top:1.25rem}
summary{cursor:pointer;color:var(--blue);font-size:.9375rem;margin-bottom:.75rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,25rem),1fr));gap:1rem}
article{background:var(--sheet);border-radius:.5rem;padding:1rem 1.125rem;display:flex;
flex-direction:column;gap:.75rem;overflow:hidden;break-inside:avoid}
[lang=ko]{word-break:keep-all}
blockquote{margin:0;white-space:pre-wrap;line-height:1.65;flex:1}
.for,.against{color:var(--ink);border-radius:.1875rem;padding:.0625rem .125rem;margin:0 -.125rem;
-webkit-box-decoration-break:clone;box-decoration-break:clone}
.for{background:rgb(var(--blue-rgb)/calc(var(--w)*.42))}
.against{background:rgb(var(--warm-rgb)/calc(var(--w)*.5))}
article .cells{display:grid;grid-template-columns:1fr;gap:0;padding:0;border:0;flex:1;
align-content:start;font-size:.875rem}
article .cells div{display:grid;grid-template-columns:minmax(4rem,2fr) 3fr 4rem;gap:.125rem .75rem;
padding:.1875rem 0;border-bottom:1px solid var(--line)}
article .cells div:last-child{border-bottom:0}
article .cells dt{white-space:normal;overflow-wrap:anywhere}
article .cells dd{font-weight:400;overflow-wrap:anywhere}
article .cells .fig{font-size:.8125rem;color:var(--soft)}
.cut{font-size:.8125rem;color:var(--amber-ink);background:var(--amber);padding:.0625rem .375rem;
border-radius:.1875rem;white-space:nowrap}
.shot{display:flex;gap:.75rem;flex-wrap:wrap}
.shot img,.strip img{width:6rem;height:6rem;object-fit:contain;background:var(--paper);
border-radius:.25rem}
.pixels{image-rendering:pixelated}
.photo{image-rendering:auto}
.gone{display:inline-flex;width:6rem;height:6rem;align-items:center;justify-content:center;
background:var(--line);border-radius:.25rem;font-size:.75rem;color:var(--soft)}
.file{margin:0;font-size:.75rem;color:var(--soft);overflow-wrap:anywhere}
.strip{display:flex;flex-wrap:wrap;gap:.75rem}
.strip figure{width:6rem}
.strip figcaption{margin:0;font-weight:400}
.film>img{display:block;width:100%;max-width:24rem;height:auto;border-radius:.25rem;
margin-bottom:.5rem}
.film figure{margin-top:1rem}
.strip.moments figure{width:13rem}
.strip.moments img{width:100%;height:auto;margin-bottom:.375rem}
.sheet{overflow-x:auto}
.sheet img{max-width:100%;height:auto}
.raster{display:block;image-rendering:pixelated;height:3rem;width:auto;max-width:100%}
.raster.tall{height:6rem}
.raster.wide{height:auto;width:min(100%,40rem)}
.raster.map{height:auto;width:min(100%,20rem);image-rendering:auto}
.walk{display:grid;grid-template-columns:8rem 1fr;gap:1rem 1.5rem;margin:0 0 1rem}
.walk ol{list-style:none;margin:0;padding:0;display:grid;gap:.5rem}
.walk li{display:grid;grid-template-columns:7rem auto 1fr;gap:.25rem 1rem;align-items:center;
margin:0;font-size:.8125rem}
.walk li small{display:block}
.words{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.125rem .875rem;
font-size:.8125rem;color:var(--soft);font-variant-numeric:tabular-nums}
.words li{margin:0}
.words .of{font-weight:600}
article dl{display:flex;flex-wrap:wrap;gap:.125rem 1.25rem;margin:0;padding-top:.625rem;
border-top:1px solid var(--line);font-size:.9375rem;align-items:baseline}
article dl div{display:flex;gap:.375rem;align-items:baseline}
dd{margin:0}
article dd{font-weight:600}
article dd small{font-weight:400;font-variant-numeric:tabular-nums}
article dt{white-space:nowrap}
.wrong{color:var(--warm)}.right{color:var(--blue)}
.flow{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem .75rem;color:var(--soft)}
.flow b{font-size:1.5rem;color:var(--ink);font-variant-numeric:tabular-nums}
.flow i{font-style:normal}
.splits{display:flex;gap:2px;height:.75rem;margin:1.25rem 0 .5rem;border-radius:.25rem;
overflow:hidden}
.splits span{min-width:3px}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;list-style:none;padding:0;font-size:.875rem;
color:var(--soft)}
.key b{color:var(--ink);font-variant-numeric:tabular-nums}
.key li::before{content:"";display:inline-block;width:.625rem;height:.625rem;border-radius:.125rem;
margin-right:.5rem}
.key .model::before{background:var(--blue)}
.key .warm::before{background:var(--warm)}
.key .good::before{background:var(--good)}
.splits .split-0,.key .split-0::before{background:var(--blue)}
.splits .split-1,.key .split-1::before{background:rgb(var(--blue-rgb)/.5)}
.splits .split-2,.key .split-2::before{background:rgb(var(--warm-rgb)/.85)}
.facts{margin:1.25rem 0 0;font-size:.9375rem}
.facts div{align-items:baseline;display:grid;grid-template-columns:minmax(9rem,17rem) 1fr;
gap:0 1.5rem;padding:.4375rem 0;border-bottom:1px solid var(--line)}
.facts div:last-child{border-bottom:0}
.facts dt{font-size:.875rem}
.facts dd{font-variant-numeric:tabular-nums}
.facts.tight{margin-top:0;columns:3 15rem;column-gap:2.5rem;font-size:.875rem}
.facts.tight div{grid-template-columns:1fr auto;break-inside:avoid;padding:.25rem 0}
.facts.tight dt{font-size:.8125rem}
.facts.tight dd{text-align:right}
@media (max-width:40rem){
header,main,footer{padding-left:1rem;padding-right:1rem}
header{padding-top:1.5rem}
h1{font-size:1.75rem}
section{padding:2rem 0}
.headline{grid-template-columns:1fr;padding:1.25rem 0}
.number{font-size:3.5rem}
.walk{grid-template-columns:1fr}
.walk li{grid-template-columns:1fr}
.raster{height:auto}
.forest,.forest tbody,.forest thead{display:block}
.forest tr{display:grid;grid-template-columns:1fr auto;padding-bottom:.375rem}
.forest tbody tr{align-items:baseline}
.forest th:first-child,.forest .fig,.beside .forest th:first-child,.beside .forest .fig{width:auto;
padding:.375rem 0 0}
.forest thead .fig{padding-left:0}
.forest td.plot{grid-column:1/-1;order:3;height:1.375rem;margin:0 .75rem}
.forest thead .plot{display:none}
.forest .axis td:not(.plot){display:none}
.facts:not(.tight) div{grid-template-columns:1fr;padding:.5rem 0}
.chart{padding-left:2.75rem}
.figures tr,.labels tr{display:grid;grid-template-columns:repeat(auto-fit,minmax(5.25rem,1fr));
column-gap:.75rem;border-bottom:1px solid var(--line);padding:.5rem 0}
.figures thead tr,.labels thead tr{border-color:var(--rule)}
.figures tr>*,.labels tr>*{border:0!important;padding:0}
.figures .fig,.labels .fig,.figures thead .fig{text-align:left;white-space:normal;width:auto}
.figures tr>:first-child,.labels tr>:first-child{grid-column:1/-1;padding-bottom:.25rem}
.figures thead tr>:first-child,.labels thead tr>:first-child,.labels thead .plot{display:none}
.labels .plot{grid-column:1/-1;order:9;width:auto;height:1rem}
.labels .plot svg.bar{top:0;height:1rem}
.figures tr small,.labels tr small{font-size:.75rem}
.labels{min-width:0}
.figures tr>:first-child small,.labels tr>:first-child small{display:inline;margin-left:.5rem}
.matrix td.hit,.matrix td.miss{min-width:4rem}
}
@media print{
:root{--paper:#fff;--sheet:#f6f7f9;--ink:#000;--soft:#444;--line:#ddd;--rule:#bbb;--blue:#1d5fbe;
--blue-rgb:29 95 190;--warm:#b04a12;--warm-rgb:214 104 34;--amber:#fff6e0;--amber-ink:#6a4a00}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{font-size:11pt}
nav,summary{display:none}
header,main,footer{max-width:none;padding:0}
section{padding:1.25rem 0}
h2,h3,caption,figcaption{break-after:avoid}
tr,figure,article,.headline{break-inside:avoid}
.scroll{overflow:visible}
details::details-content{content-visibility:visible;display:block;block-size:auto}
}
"""
