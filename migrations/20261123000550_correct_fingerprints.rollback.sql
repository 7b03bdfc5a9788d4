-- The corrected fingerprints stay.

do $$ begin end $$;
