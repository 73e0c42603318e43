"""Raw lines to Parquet: bars by hour, daily files, ticks; what may go afterwards."""
