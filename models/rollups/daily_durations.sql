-- How many successful chat requests took each whole millisecond, by day, measured step and models?
{{ count_durations(changes()) }}
