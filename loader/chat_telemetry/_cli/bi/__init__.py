"""What the dashboard and the overview show: the queries of `bi/queries`, and the days that they speak of."""
