# SPDX-License-Identifier: BSD-3-Clause
# Cycles per packet by number of flows: gnuplot -e "dir='build-bench'" sweep.gp
set datafile separator ','
set terminal pngcairo size 1000,600
set output dir.'/bench-sweep.png'
set title 'Echo over net_ring, one worker: cycles per packet' noenhanced
set grid
set key outside top center horizontal
set logscale x 2
set format x '%.0f'
set yrange [0:*]
set xlabel 'flows, in random order above 4096'
set ylabel 'TSC cycles'
plot dir.'/bench-sweep.csv' using 1:2 with linespoints lw 2 title 'UDP, 18 bytes', '' using 1:3 with linespoints lw 2 title 'TCP, 64 bytes: a segment'
