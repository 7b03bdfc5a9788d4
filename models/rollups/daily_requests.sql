-- How many chat requests did each day see, with which models and outcome, and how many tokens did they take?
{{ count_requests(changes()) }}
