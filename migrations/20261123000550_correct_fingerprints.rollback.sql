-- The corrected fingerprints stay.

select 1;
