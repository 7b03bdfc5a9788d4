-- How many chat requests were made each day, with which models and outcome, and how many tokens did they use?
{{ count_requests(changes()) }}
