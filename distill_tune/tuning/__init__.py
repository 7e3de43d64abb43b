"""Ray Tune around the loop: searcher, scheduler, trials, worker groups, budgets, and what people see of them."""
