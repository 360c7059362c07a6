# SPDX-License-Identifier: BSD-3-Clause
# Plots of sim_rate's CSV files: gnuplot -e "dir='build'" sim_rate.gp
set datafile separator ','
set terminal pngcairo size 1000,600
set grid
set key outside top center horizontal

set output dir.'/sim_rate.png'
set title 'One flow: what it fills of its path'
set style data histograms
set style histogram clustered
set style fill solid 0.6
set yrange [0:105]
set ylabel '%'
set xtics rotate by -30
plot dir.'/sim_rate.csv' using (100 * $5):xtic(stringcolumn(1).' '.stringcolumn(2).'M '.stringcolumn(3).'ms') skip 1 title 'fill', \
	90 with lines lw 2 title 'least'

set style data lines
set xtics norotate
set autoscale y
set xlabel 's'

do for [cc in "cubic newreno"] {
	set output dir.'/sim_rate_fair_'.cc.'.png'
	set title 'Four flows, 40 Mb/s, 40 ms: '.cc
	set ylabel 'Mb/s'
	plot for [i=1:4] dir.'/sim_rate_fair_'.cc.'.csv' using 1:(column(2 * i)) title sprintf('flow %d', i)
}

do for [f in system('cd '.dir.' && ls sim_rate_*_*_*.csv')] {
	set output dir.'/'.f[1:strlen(f) - 4].'.png'
	set title f[10:strlen(f) - 4] noenhanced
	set ylabel 'Mb/s'
	set y2label 'cwnd, segments'
	set y2tics
	plot dir.'/'.f using 1:2 title 'goodput', '' using 1:3 axes x1y2 title 'cwnd'
}
