# SPDX-License-Identifier: BSD-3-Clause
# How far each figure is from its line: gnuplot -e "dir='build-bench'; rows=20" lines.gp
set datafile separator ','
set terminal pngcairo size 1400,160+26*rows
set output dir.'/bench-lines.png'
set termoption noenhanced
set title 'Figure over line; where more is better: line over figure. Up to 1: PASS'
set grid xtics
set key off
set xrange [0:3]
set yrange [rows-0.5:-0.5]
set lmargin 90
set style fill solid 0.7
set arrow from 1,graph 0 to 1,graph 1 nohead lw 2 front
cut(x) = x > 3 ? 3 : x
colour(v) = v eq 'PASS' ? 0x2e8b57 : 0xb22222
plot dir.'/bench-lines.csv' using (cut($2)/2):0:(cut($2)/2):(0.38):(colour(stringcolumn(3))):ytic(1) with boxxyerror lc rgb variable, \
	'' using (cut($2)):0:(sprintf(' %.2f', $2)) with labels left
