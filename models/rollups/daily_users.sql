-- How many chat requests did each user make each day, with which models, and how many tokens did they use?
{{ count_by_user(changes()) }}
