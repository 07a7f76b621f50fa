module scoreboard

go 1.24
