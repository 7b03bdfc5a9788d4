-- How many requests without error took each whole number of milliseconds, by day, measured step and models?
{{ count_durations(changes()) }}
