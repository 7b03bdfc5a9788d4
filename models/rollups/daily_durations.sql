-- How many successful chat requests took each whole number of milliseconds, by day, measured step and models?
{{ count_durations(changes()) }}
