"""What a Supabase project's database gets beside the declared tables: functions that its HTTP interface calls."""
